//! Mode 6 from outside: the requests of real programs replayed, what needs a key, and a long client list read while it changes.

mod clients;
mod clocks;
mod keys;
mod replay;
mod security;
mod variables;
