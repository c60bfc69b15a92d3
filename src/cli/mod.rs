//! The command line: argv rewriting, the flag table, configuration files, `check`.
