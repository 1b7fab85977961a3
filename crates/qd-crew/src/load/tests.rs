//! Crew files and what becomes of them: the examples, both forms, and a corpus of bad files with their messages.

mod bad;
mod good;
mod hostile;
