//! The API server: kubeconfig, client, list and watch into the inventory, reviews.
