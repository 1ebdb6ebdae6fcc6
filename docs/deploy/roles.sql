-- Run once in an empty cluster, as its superuser: the owner of the tables, and the servers' own user. The passwords
-- stand in migrate.env and secrets.env as well. A replica takes up to 18 connections.
CREATE ROLE owner LOGIN PASSWORD 'CHANGE-ME-TOO';
CREATE ROLE servers LOGIN PASSWORD 'CHANGE-ME' CONNECTION LIMIT 90;
CREATE DATABASE kallyai OWNER owner;
REVOKE ALL ON DATABASE kallyai FROM PUBLIC;
GRANT CONNECT ON DATABASE kallyai TO servers;
