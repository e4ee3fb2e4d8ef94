"""The curator's SDK: datasets of several suppliers as one database."""
