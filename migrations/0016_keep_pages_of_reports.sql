-- The report as a page that stands alone, and what it is about.
ALTER TABLE performance_reports
    ADD COLUMN title text NOT NULL DEFAULT 'Performance report',
    ADD COLUMN html text NOT NULL DEFAULT '';
