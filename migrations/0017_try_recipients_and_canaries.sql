-- Who of a message's recipients does not have it yet; NULL: nobody has it.
ALTER TABLE deliveries ADD COLUMN recipients text[];
