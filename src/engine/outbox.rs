//! What the engine has to say: outputs, in the order in which the shell performs them.

use crate::engine::contract::{ClockCommand, Output};
use std::collections::VecDeque;

/// Outputs that wait for the shell.
#[derive(Debug, Default)]
pub struct Outbox(VecDeque<Output>);

impl Outbox {
    /// One more.
    pub fn push(&mut self, output: Output) {
        self.0.push_back(output);
    }

    /// A command for the kernel clock.
    pub fn command(&mut self, command: ClockCommand) {
        self.push(Output::Clock(command));
    }

    /// The oldest, which is taken out.
    pub fn pop(&mut self) -> Option<Output> {
        self.0.pop_front()
    }
}
