"""Revenue share: split plans of derived products, and the royalties that follow from them."""
