//! Reading and compiling in one go, so that every mistake of a crew is told at once and in its place.

use qd_types::Catalog;

use crate::compile;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load;
use crate::plan::Plan;
use crate::references;
use crate::source::CrewSource;
use crate::spec::CrewSpec;

/// What a usable crew comes down to: what is stored, what is executed, and warnings.
type Checked = (CrewSpec, Plan, Vec<Diagnostic>);

/// Reads a crew from its files and makes it executable.
///
/// # Errors
/// Everything that [`load`](fn@crate::load) and [`compile`](fn@crate::compile) find wrong, in the order of the files.
pub fn check(source: &CrewSource, catalog: &Catalog) -> Result<Checked, Diagnostics> {
    let (draft, mut report) = load::read(source);
    let crew = draft.map(|draft| {
        references::check(&draft.spec, &draft.places, &mut report);
        let plan = compile::resolve(&draft.spec, catalog, &draft.places, &mut report);
        (draft.spec, plan)
    });
    let warnings = report.finish()?;
    let (spec, plan) = crew.expect("a source without errors has a crew");
    Ok((spec, plan, warnings))
}
