//! Where schedules are kept.

use qd_types::{ScheduleName, TenantId};

use crate::{Error, Schedule};

/// Where schedules are kept.
pub(crate) trait ScheduleRows {
    /// Reads one.
    fn schedule(&mut self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error>;
    /// How many a tenant has.
    fn count_schedules(&mut self, tenant: &TenantId) -> Result<usize, Error>;
    /// Writes one, over what is known of it.
    fn put_schedule(&mut self, schedule: &Schedule) -> Result<(), Error>;
    /// Deletes one; `false` if there was none.
    fn delete_schedule(&mut self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error>;
}
