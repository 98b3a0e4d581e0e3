-- no-transaction
-- Counted at each look at /metrics, and looked through by whoever puts messages together.
CREATE INDEX CONCURRENTLY IF NOT EXISTS notifications_undelivered ON notifications (id)
    WHERE delivered_at IS NULL AND abandoned_at IS NULL AND suppressed_at IS NULL;
