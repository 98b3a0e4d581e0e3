-- Counted at each look at /metrics, and looked through by whoever puts messages together. The table is small enough to be locked
-- for that moment.
CREATE INDEX notifications_undelivered ON notifications (id)
    WHERE delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL;
