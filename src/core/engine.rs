//! The engine: the three calls of the contract.

use super::contract::{Input, Machine, Now, Output, Rx, Setup};
use crate::units::{MonoTime, NtpTimestamp};
use std::collections::VecDeque;

/// What [`Engine::serve`] made of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Served {
    /// Answer with this many octets of the buffer, from the socket it came to.
    Reply(usize),
    /// Dropped, and counted.
    Dropped,
    /// Not a client's request: give it to [`Engine::handle`].
    NotARequest,
}

/// The daemon without its shell.
#[derive(Debug)]
pub struct Engine {
    outputs: VecDeque<Output>,
}

impl Engine {
    /// Longest answer [`Engine::serve`] writes, octets.
    pub const REPLY_MAX: usize = 128;

    /// A daemon that starts now. Its first outputs are waiting.
    #[must_use]
    pub fn new(_now: Now, _machine: &Machine, _setup: Setup) -> Self {
        Self { outputs: VecDeque::new() }
    }

    /// Takes in what happened. Never blocks; network data is never an error.
    pub fn handle(&mut self, _now: Now, _input: Input<'_>) {}

    /// The next thing to do; `None` when all is done. Drain it after every [`Engine::handle`].
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timer`] is due; `None` if nothing is waiting.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        None
    }

    /// Answers a time request (modes 3, 1 and version 1's 0) past the output queue. `clock` reads
    /// the wall clock and is called last, for the transmit timestamp.
    pub fn serve(
        &mut self,
        _now: Now,
        _rx: &Rx<'_>,
        _clock: &mut dyn FnMut() -> NtpTimestamp,
        _reply: &mut [u8; Self::REPLY_MAX],
    ) -> Served {
        Served::NotARequest
    }
}
