-- Whose report it is; NULL: of everybody.
ALTER TABLE performance_reports ADD COLUMN tenant text;
