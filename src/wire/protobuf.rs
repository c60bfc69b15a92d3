//! Protocol buffers: a borrowing field reader and length-exact writers.
