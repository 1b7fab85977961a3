//! Commands that have a file of tests of their own.

mod crews;
mod dead;
mod doctor;
mod init;
mod loadtest;
mod tail;
