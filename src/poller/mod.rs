//! One thread that reads every node in turn: schedule, address choice, scrape.
