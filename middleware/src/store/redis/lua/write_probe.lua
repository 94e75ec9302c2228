#!lua
-- Writes nothing. Redis applies to it the checks of a script that may write: a full memory, failed snapshots, too few replicas.
--
-- Reply 1
--
-- EVAL <this text> 0
return 1
