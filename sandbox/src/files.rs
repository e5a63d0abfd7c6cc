//! The rules of Landlock: where a program may write, whom it may signal, and a second line for its network.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use windrow_model::{ErrorKind, ErrorReport};

use crate::options::Options;
use crate::support;

/// The newest interface whose rights are known here; an older kernel leaves out what it does not have.
const KNOWN: ABI = ABI::V10;

/// Devices that hold nothing, which programs write to. The terminal is not among them: it is the worker's.
const WRITABLE_DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The rules of one program; `None` if this kernel has no Landlock.
pub fn ruleset(options: &Options) -> Result<Option<RulesetCreated>, ErrorReport> {
    let folder = options.folder.as_path();
    if !folder.is_dir() {
        let what = format!("`{}`, where a program is to write, is not a folder", folder.display());
        return Err(ErrorReport::new(ErrorKind::NotFound, what).with_hint("make the folder before its program starts"));
    }
    if support::landlock_abi().is_err() {
        return Ok(None);
    }
    let folder = PathFd::new(folder).map_err(|error| {
        let what = format!("the folder of a program, `{}`, cannot be opened", folder.display());
        ErrorReport::new(ErrorKind::Unavailable, what).with_detail(described(&error))
    })?;
    made(handled(options.network), options.network, folder).map(Some).map_err(|error| {
        ErrorReport::new(ErrorKind::Unavailable, "the rules of Landlock for a program cannot be made")
            .with_detail(described(&error))
            .with_hint("look at the worker's limit of open files (`ulimit -n`)")
    })
}

/// What is forbidden where no rule allows it.
fn handled(network: bool) -> BitFlags<AccessFs> {
    let mut handled = AccessFs::from_write(KNOWN);
    if network {
        // Services of this host are part of the network.
        handled.remove(AccessFs::ResolveUnix);
    }
    handled
}

fn made(handled: BitFlags<AccessFs>, network: bool, folder: PathFd) -> Result<RulesetCreated, RulesetError> {
    let ruleset = Ruleset::default().handle_access(handled)?;
    let ruleset = match network {
        true => ruleset.scope(Scope::Signal)?,
        false => ruleset.handle_access(AccessNet::from_all(KNOWN))?.scope(Scope::from_all(KNOWN))?,
    };
    // A device that root makes in the folder would be a door to the disk behind it.
    let in_folder = handled & !(AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev);
    // Containers may lack some of the devices.
    let devices = WRITABLE_DEVICES.iter().filter_map(|device| PathFd::new(device).ok());
    let rules = devices.map(|device| Ok::<_, RulesetError>(PathBeneath::new(device, AccessFs::WriteFile)));
    ruleset.create()?.add_rule(PathBeneath::new(folder, in_folder))?.add_rules(rules)
}

/// Restricts the calling thread a little, for good, and says what the kernel has.
pub fn try_out() -> Result<LandlockStatus, RulesetError> {
    Ok(Ruleset::default().handle_access(AccessFs::MakeBlock)?.create()?.restrict_self()?.landlock)
}

/// An error with what caused it.
pub fn described(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
