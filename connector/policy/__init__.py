"""Usage policies: compiled once, decided at every act, every decision stored."""
