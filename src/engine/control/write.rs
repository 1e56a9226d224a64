//! What changes something: variables, configuration, the saved configuration. The control key has been
//! shown; `nomodify` still forbids it.

use crate::config::model::AccessFlags;
use crate::engine::control::shell_request::ShellRequest;
use crate::engine::control::system;
use crate::engine::control::table::choose;
use crate::engine::control::text;
use crate::engine::control::{Answer, Asker, Change, Reply, View};
use crate::wire::control::{ControlError, Request, opcode};

impl View<'_> {
    pub(super) fn write(&self, request: &Request<'_>, asker: &Asker) -> Result<Answer, ControlError> {
        if asker.flags.contains(AccessFlags::NOMODIFY) {
            return Err(ControlError::Prohibited);
        }
        let from = asker.from.ip();
        match request.opcode {
            opcode::WRITE_VARIABLES => self.write_variables(request),
            // Fudge factors are set by configuration.
            opcode::WRITE_CLOCK => Err(ControlError::Permission),
            // There is one configuration, not one an association.
            _ if request.association != 0 => Err(ControlError::Value),
            opcode::CONFIGURE => {
                Ok(Answer::ShellRequest(ShellRequest::Configure { text: request.data.to_vec(), from }))
            }
            _ => {
                let name = request.data.split(|byte| *byte == 0).next().unwrap_or_default();
                if name.is_empty() {
                    return Err(ControlError::Format);
                }
                Ok(Answer::ShellRequest(ShellRequest::Save { name: name.to_vec(), from }))
            }
        }
    }

    /// Only variables that `setvar` made can be written, as with ntpd: all or none of a request.
    fn write_variables(&self, request: &Request<'_>) -> Result<Answer, ControlError> {
        if request.association != 0 {
            return Err(ControlError::Permission);
        }
        let wanted = text::items(request.data)?;
        let mut added = self.setup.config.setvar.clone();
        for (name, value) in wanted {
            let own = choose(&system::TABLES, &[], Vec::new(), name.as_bytes()).is_ok();
            if own {
                return Err(ControlError::Permission);
            }
            let variable =
                added.iter_mut().rev().find(|added| added.name == name).ok_or(ControlError::Variable)?;
            variable.value = value.ok_or(ControlError::Format)?;
        }
        let reply = Reply::new(self.system_status(), Vec::new());
        Ok(Answer::Reply(reply).and(Some(Change::Variables(added))))
    }
}
