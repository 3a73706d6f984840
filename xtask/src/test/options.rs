//! The command line of `cargo xtask test`.

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Print the steps and stop.
    pub(super) list: bool,
    /// Steps by name; empty: all.
    pub(super) only: Vec<String>,
    /// The long matrices too.
    pub(super) full: bool,
    /// Also steps that passed with the tree as it is.
    pub(super) again: bool,
    /// Only what a change can break.
    pub(super) changed: bool,
    /// The commit that changes are counted from; without it, the uncommitted ones.
    pub(super) since: Option<String>,
}

impl Options {
    /// # Errors
    /// An unknown option, a missing value, or two options that contradict each other.
    pub(super) fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--full" => options.full = true,
                "--again" => options.again = true,
                "--changed" => options.changed = true,
                "--since" => options.since = Some(args.next().ok_or("--since: name a commit")?.clone()),
                "--only" => options.only.push(args.next().ok_or("--only: name a step")?.clone()),
                unknown => {
                    return Err(format!(
                        "{unknown}: --list, --only STEP, --again, --full, --changed and --changed --since COMMIT are known"
                    ));
                }
            }
        }
        if options.since.is_some() && !options.changed {
            return Err("--since goes with --changed".to_owned());
        }
        if options.full && options.changed {
            return Err("--full runs everything and --changed a part: give one of them".to_owned());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options() {
        assert_eq!(parse(&[]), Ok(Options::default()));
        assert!(parse(&["--full"]).unwrap().full);
        assert_eq!(parse(&["--changed", "--since", "HEAD~2"]).unwrap().since.as_deref(), Some("HEAD~2"));
        for wrong in [&["--ful"][..], &["--since", "HEAD"], &["--changed", "--since"], &["--full", "--changed"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
