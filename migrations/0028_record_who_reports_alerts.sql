-- The API key that reported an alert, by its name; absent for alerts of rules. Goes by its name, so that a key that takes
-- the place of another goes on with what that one reported.
ALTER TABLE performance_alerts ADD COLUMN reported_by text;
UPDATE performance_alerts SET reported_by = 'api' WHERE status <> 'resolved' AND fingerprint LIKE 'api:%';
-- Open alerts of a key are counted at each report, and those that nobody reports any more are ended.
CREATE INDEX performance_alerts_reported ON performance_alerts (reported_by, last_seen_at)
    WHERE status <> 'resolved' AND reported_by IS NOT NULL;
-- Open alerts are read in pages, in the order of their ids.
CREATE INDEX performance_alerts_open_by_id ON performance_alerts (id) WHERE status <> 'resolved';

-- Who caused a message: a key, a tenant, a service or a host; absent where several did. Each has a share of what a channel
-- takes.
ALTER TABLE deliveries ADD COLUMN origin text;
