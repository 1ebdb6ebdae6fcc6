-- Run once in an empty cluster, as its superuser: the owner of the tables, and the servers' own user.
CREATE ROLE owner LOGIN PASSWORD 'CHANGE-ME-TOO';
CREATE ROLE servers LOGIN PASSWORD 'CHANGE-ME' CONNECTION LIMIT 64;
CREATE DATABASE kallyai OWNER owner;
REVOKE ALL ON DATABASE kallyai FROM PUBLIC;
GRANT CONNECT ON DATABASE kallyai TO servers;
