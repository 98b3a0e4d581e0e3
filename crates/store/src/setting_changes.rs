//! `setting_changes`: what people have set while Dogwatch runs, with who and when. All changes are kept; the last one of a
//! setting counts.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::Store;
use crate::error::StoreError;

/// The last change of a setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingChange {
    /// Of which one, such as `jobs.retention_days`.
    pub name: String,
    /// To what; absent: back to what the file says.
    pub value: Option<Value>,
    /// The name of the key that it was changed with.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}

impl Store {
    /// The last change of each setting that was ever changed.
    pub async fn setting_changes(&self) -> Result<Vec<SettingChange>, StoreError> {
        let changes = sqlx::query_as!(
            SettingChange,
            "SELECT DISTINCT ON (name) name, value, changed_by, changed_at FROM setting_changes ORDER BY name, id DESC"
        );
        changes.fetch_all(&self.pool).await.map_err(StoreError::query("read the changes of settings"))
    }

    /// Adds changes: all of them or none.
    pub async fn change_settings(&self, changes: &[SettingChange]) -> Result<(), StoreError> {
        let names: Vec<&str> = changes.iter().map(|change| change.name.as_str()).collect();
        let values: Vec<Option<Value>> = changes.iter().map(|change| change.value.clone()).collect();
        let people: Vec<&str> = changes.iter().map(|change| change.changed_by.as_str()).collect();
        let times: Vec<DateTime<Utc>> = changes.iter().map(|change| change.changed_at).collect();
        let change = sqlx::query!(
            "INSERT INTO setting_changes (name, value, changed_by, changed_at)
             SELECT * FROM unnest($1::text[], $2::jsonb[], $3::text[], $4::timestamptz[])",
            &names as &[&str],
            &values as &[Option<Value>],
            &people as &[&str],
            &times
        );
        change.execute(&self.pool).await.map(drop).map_err(StoreError::query("change settings"))
    }
}
