//! `seccomp` and `landlock`: what the kernel is to keep the daemon from.

/// What happens at a system call that the daemon never makes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Seccomp {
    /// The daemon writes the number of the call and aborts.
    #[default]
    Trap,
    /// The kernel logs the call, and the daemon goes on.
    Log,
    /// There is no filter.
    Off,
}

impl Seccomp {
    const NAMES: [(&'static str, Self); 3] = [("trap", Self::Trap), ("log", Self::Log), ("off", Self::Off)];

    /// As ntp.conf has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, this)| *this == self).map_or("", |(name, _)| name)
    }

    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::NAMES.iter().find(|(this, _)| this.as_bytes() == name).map(|(_, found)| *found)
    }
}

/// Whether there are rules of the file system.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Landlock {
    /// Made from what the configuration names.
    #[default]
    On,
    /// None.
    Off,
}

impl Landlock {
    /// As ntp.conf has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}
