//! `cargo xtask demo`: the whole path, running. `--smoke` lets a browser walk it and prints the result.
//!
//! The processes are started by `tests/e2e/lib/stack.mjs`, through the real command line, as the browser tests start them.

use std::error::Error;

use crate::shell::{Program, root};
use crate::{npm, setup};

pub(crate) fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let options = Options::parse(args)?;
    setup::all()?;
    build()?;
    build_package()?;
    if options.smoke {
        smoke(options.screenshot.as_deref())
    } else {
        Program::new("node tests/e2e/demo.mjs").become_it()
    }
}

/// Drives the page of a demo of its own in headless Chromium.
pub(crate) fn smoke(screenshot: Option<&str>) -> Result<(), Box<dyn Error>> {
    let picture = root().join(screenshot.unwrap_or("target/demo.png"));
    Program::new("node tests/e2e/smoke.mjs --screenshot").arg(picture).env("BMAP_CHROMIUM", setup::browser()?).run()
}

/// The two binaries that the demo and the browser tests start.
pub(crate) fn build() -> Result<(), Box<dyn Error>> {
    Program::cargo("build --locked -p bmap-server -p places-tool").run()
}

/// The npm package that the page loads.
pub(crate) fn build_package() -> Result<(), Box<dyn Error>> {
    npm::run(&[])
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    smoke: bool,
    screenshot: Option<String>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--smoke" => options.smoke = true,
                "--screenshot" => options.screenshot = Some(args.next().ok_or("--screenshot: name a file")?.clone()),
                unknown => return Err(format!("{unknown}: --smoke and --screenshot FILE are known")),
            }
        }
        if options.screenshot.is_some() && !options.smoke {
            return Err("--screenshot goes with --smoke".to_owned());
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
        assert_eq!(parse(&["--smoke"]).map(|options| options.smoke), Ok(true));
        assert_eq!(parse(&["--smoke", "--screenshot", "a.png"]).unwrap().screenshot.as_deref(), Some("a.png"));
        for wrong in [&["--smok"][..], &["--screenshot", "a.png"], &["--smoke", "--screenshot"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
