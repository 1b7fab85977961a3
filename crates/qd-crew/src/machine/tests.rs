//! The machine as a table of entries and what is ready, and as properties over every order and every prefix.

mod human;
mod looping;
mod order;
mod recourse;
mod requests;
