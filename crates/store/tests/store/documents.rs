use chrono::{DateTime, TimeDelta, Utc};
use dogwatch_store::StoredReport;
use uuid::Uuid;

use crate::{store, time};

fn report(created_at: DateTime<Utc>) -> StoredReport {
    StoredReport {
        id: Uuid::now_v7(),
        created_at,
        window_start: created_at - TimeDelta::days(1),
        window_end: created_at,
        tenant: None,
        body: serde_json::json!({ "requests": 1 }),
        title: "Report".to_owned(),
        html: String::new(),
        text: "one request".to_owned(),
    }
}

#[tokio::test]
async fn a_report_is_found_by_its_id_and_the_newest_come_first() {
    let (_database, store) = store().await;
    let (old, new) = (report(time("10:00:00")), report(time("11:00:00")));
    store.insert_report(&new).await.unwrap();
    store.insert_report(&old).await.unwrap();
    assert_eq!(store.report(old.id).await.unwrap().unwrap().body, old.body);
    assert!(store.report(Uuid::now_v7()).await.unwrap().is_none());
    let listed = store.reports(None, 9).await.unwrap();
    assert_eq!(listed.iter().map(|report| report.id).collect::<Vec<_>>(), [new.id, old.id]);
    assert_eq!(store.reports(None, 1).await.unwrap().len(), 1);
}
