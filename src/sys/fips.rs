//! Whether the kernel runs in FIPS mode.

/// Whether `/proc/sys/crypto/fips_enabled` says so.
#[must_use]
pub fn is_on() -> bool {
    std::fs::read("/proc/sys/crypto/fips_enabled").is_ok_and(|text| text.starts_with(b"1"))
}
