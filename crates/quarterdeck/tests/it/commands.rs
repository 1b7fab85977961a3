//! Commands that have a file of tests of their own.

mod batches;
mod check;
mod crews;
mod dead;
mod doctor;
mod init;
mod loadtest;
mod schedules;
mod tail;
