//! Relative paths, fixed once: they are meant from where the daemon was started, and it goes to `/` later.

use crate::config::model::{Config, Nts};
use crate::daemon::start::cli::Options;
use std::path::{Path, PathBuf};

/// Makes the paths of the command line absolute, and remembers `directory` for those in the configuration.
pub fn anchor(options: &mut Options, directory: PathBuf) {
    options.directory = directory;
    let directory = options.directory.clone();
    of_options(options).for_each(|path| *path = directory.join(&path));
}

/// Makes the paths of a configuration absolute.
pub(super) fn anchor_config(config: &mut Config, directory: &Path) {
    of_config(config).for_each(|path| *path = directory.join(&path));
}

/// The root directory is about to become `jail`. What was made absolute by [`anchor`] is found there by its new name,
/// if the daemon was started in `jail` or below; other paths keep theirs and are looked up in `jail`, as with ntpd.
pub fn enter_jail(options: &mut Options, config: &mut Config, jail: &Path) {
    let Ok(inside) = options.directory.strip_prefix(jail) else { return };
    let (before, after) = (options.directory.clone(), Path::new("/").join(inside));
    options.directory.clone_from(&after);
    for path in of_options(options).chain(of_config(config)) {
        if let Ok(rest) = path.strip_prefix(&before) {
            *path = after.join(rest);
        }
    }
}

fn of_options(options: &mut Options) -> impl Iterator<Item = &mut PathBuf> {
    let Options { configfile, pidfile, driftfile, keyfile, logfile, statsdir, jaildir, .. } = options;
    let optional = [pidfile, driftfile, keyfile, logfile, statsdir, jaildir];
    std::iter::once(configfile).chain(optional.into_iter().flatten())
}

fn of_config(config: &mut Config) -> impl Iterator<Item = &mut PathBuf> {
    let Config { driftfile, logfile, pidfile, leapfile, saveconfigdir, nts, .. } = config;
    let Nts { certificate, key, ca, cookie_keys, dump, .. } = nts;
    let of_lines = config.servers.iter_mut().filter_map(|server| server.nts.as_mut()?.ca.as_mut());
    let optional = [
        driftfile,
        logfile,
        pidfile,
        leapfile,
        saveconfigdir,
        &mut config.auth.keys,
        &mut config.statistics.dir,
        certificate,
        key,
        ca,
        cookie_keys,
        dump,
    ];
    optional.into_iter().flatten().chain(of_lines)
}
