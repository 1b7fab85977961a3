//! `man`: manual pages out of the same words as `--help`.

use anyhow::Context as _;
use clap::CommandFactory;

use crate::cli::{Cli, Man};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: &Man) -> anyhow::Result<Exit> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        output::print(String::from_utf8_lossy(&page).trim_end())?;
        return Ok(Exit::Ok);
    };
    let refused = || format!("cannot write manual pages to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(refused)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(refused)?;
    output::say(&format!("wrote the manual pages to {}", folder.display()));
    Ok(Exit::Ok)
}
