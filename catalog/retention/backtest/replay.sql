-- name: totals
-- What there was in the period: clips, uses, and bytes times seconds.
SELECT count(DISTINCT clip), count(*) FILTER (used AND ends >= {since}),
    sum(bytes::HUGEINT * (greatest(ends - greatest(begins, {since}), 0) // 1000000))
FROM spans;

-- name: leaving
-- When a clip is no longer among the newest of its group: at the making of the n-th one after it.
SELECT clip, coalesce(lead(made, {n}) OVER ({partition} ORDER BY made, clip), 9223372036854775807) AS leaves
FROM (SELECT clip, created AS made{exposed} FROM clips) WHERE {condition};

-- name: ranked
-- Which clips a keep rule has among the first of their groups, as they stood in one night.
INSERT INTO ranked
SELECT clip, {night} FROM (
    SELECT clip, created AS made{exposed} FROM spans WHERE begins <= hour_of({night}) AND ends > hour_of({night}))
WHERE {condition}
QUALIFY {first};

-- name: simple
-- The rule that decides in each stretch, where nothing depends on the time of day or on other clips.
CREATE OR REPLACE TABLE verdicts AS
SELECT k_row AS row, NULL::BIGINT AS night, {verdict} AS rule FROM (
    SELECT rowid AS k_row, pinned AS k_pinned{exposed} FROM spans WHERE {simple});

-- name: probe
-- The rule that decides in some nights of some stretches.
CREATE OR REPLACE TEMP TABLE probed AS
SELECT k_row AS row, k_night AS night, {verdict} AS rule FROM (
    SELECT spans.rowid AS k_row, probes.night AS k_night, spans.clip AS k_clip, pinned AS k_pinned{exposed}
    FROM probes JOIN spans ON spans.rowid = probes.row){joins};

-- name: every_night
CREATE OR REPLACE TEMP TABLE probes AS
SELECT rowid AS row, unnest(range(night(begins), night(ends))) AS night FROM spans WHERE night(begins) < night(ends) AND ({careful});

-- name: turning
-- Of all nights only those in which another rule begins to decide.
INSERT INTO verdicts
SELECT row, night, rule FROM (
    SELECT *, lag(rule) OVER life AS before, row_number() OVER life AS place FROM probed WINDOW life AS (PARTITION BY row ORDER BY night))
WHERE place = 1 OR rule IS DISTINCT FROM before;

-- name: both_ends
CREATE OR REPLACE TEMP TABLE probes AS
SELECT rowid AS row, unnest(list_distinct([night(begins), night(ends) - 1])) AS night FROM spans
WHERE night(begins) < night(ends) AND ({careful});

-- name: first_and_last
CREATE OR REPLACE TEMP TABLE open AS
SELECT row, min(night) AS low, max(night) AS high, arg_min(coalesce(rule, -2), night) AS rule_low, arg_max(coalesce(rule, -2), night) AS rule_high
FROM probed GROUP BY row;

-- name: begun
INSERT INTO verdicts SELECT row, low, nullif(rule_low, -2) FROM open;

-- name: met
-- Between two nights with different rules the change lies: half of the nights are left in every round.
INSERT INTO verdicts SELECT row, high, nullif(rule_high, -2) FROM open WHERE rule_low <> rule_high AND high - low = 1;

-- name: narrow
DELETE FROM open WHERE rule_low = rule_high OR high - low <= 1;

-- name: middle
CREATE OR REPLACE TEMP TABLE probes AS SELECT row, (low + high) // 2 AS night FROM open;

-- name: halve
CREATE OR REPLACE TEMP TABLE open AS
WITH halves AS (
    SELECT open.*, probed.night AS middle, coalesce(probed.rule, -2) AS rule_middle FROM open JOIN probed ON probed.row = open.row AND probed.night = (low + high) // 2)
SELECT row, low, middle AS high, rule_low, rule_middle AS rule_high FROM halves
UNION ALL
SELECT row, middle AS low, high, rule_middle AS rule_low, rule_high FROM halves;

-- name: segments
-- The stretches in which some expire rule decides, by its number.
CREATE OR REPLACE TABLE segments AS
WITH parts AS (
    SELECT row, night, rule, CASE WHEN night IS NOT NULL THEN lead(night) OVER (PARTITION BY row ORDER BY night) END AS next,
        night IS NULL OR row_number() OVER (PARTITION BY row ORDER BY night) = 1 AS is_first
    FROM verdicts
)
SELECT spans.clip, life, nth, lone AND is_first AND next IS NULL AS lone, CASE WHEN is_first THEN begins ELSE hour_of(night) END AS begins,
    CASE WHEN next IS NULL THEN ends ELSE hour_of(next) END AS ends, anchor, greatest(floor, leaves) AS floor, used, created,
    bytes, rule
FROM parts JOIN spans ON spans.rowid = parts.row LEFT JOIN until_then ON until_then.clip = spans.clip
WHERE rule IS NOT NULL;

-- name: segments_simple
-- The same where every stretch has one rule: most policies.
CREATE OR REPLACE TABLE segments AS
SELECT * FROM (
    SELECT k_clip AS clip, k_life AS life, k_nth AS nth, k_lone AS lone, k_begins AS begins, k_ends AS ends, k_anchor AS anchor,
        greatest(k_floor, leaves) AS floor, k_used AS used, k_created AS created, k_bytes AS bytes, {verdict} AS rule
    FROM (SELECT clip AS k_clip, life AS k_life, nth AS k_nth, lone AS k_lone, begins AS k_begins, ends AS k_ends, anchor AS k_anchor,
        floor AS k_floor, used AS k_used, pinned AS k_pinned, created AS k_created, bytes AS k_bytes{exposed} FROM spans)
    LEFT JOIN until_then ON until_then.clip = k_clip)
WHERE rule IS NOT NULL;

-- name: lives
-- Lives that consist of several stretches, as one.
CREATE OR REPLACE TABLE lives AS
SELECT clip, life, any_value(nth) AS nth, any_value(bytes) AS bytes, bool_or(used) AS used, max(ends) AS ends
FROM spans SEMI JOIN (SELECT clip, life FROM segments WHERE NOT lone) AS several USING (clip, life) GROUP BY clip, life;

-- name: gone
-- What this policy would have deleted: at most once a life, in the night `night`. A run of nights that all condemn a clip leads there
-- when it is as long as the grace.
CREATE OR REPLACE TABLE gone AS
WITH condemned AS (
    SELECT clip, life, nth, lone, bytes, used, ends,
        night(greatest(begins, floor, created + {age}, anchor + CASE rule {keep_for} END)) AS first, night(ends) AS last
    FROM segments WHERE rule >= 0
), runs AS (
    SELECT *, sum(fresh::INTEGER) OVER (PARTITION BY clip, life ORDER BY first) AS run FROM (
        SELECT *, first IS DISTINCT FROM lag(last) OVER (PARTITION BY clip, life ORDER BY first) AS fresh
        FROM condemned WHERE NOT lone AND first < last)
), fallen AS (
    SELECT clip, life, min(night) AS night FROM (
        SELECT clip, life, min(first) + {wait} AS night FROM runs GROUP BY clip, life, run HAVING min(first) + {wait} < max(last))
    GROUP BY clip, life
)
SELECT clip, life, nth, bytes, used, ends, first + {wait} AS night FROM condemned WHERE lone AND first + {wait} < last
UNION ALL
SELECT clip, life, nth, bytes, used, ends, night FROM fallen JOIN lives USING (clip, life);

-- name: outcome
-- One policy in numbers.
SELECT count(*), sum(bytes::HUGEINT * ((ends - hour_of(night)) // 1000000)), count(*) FILTER (used), sum(bytes) FILTER (used),
    sum(bytes) FILTER (ends = {until}) FROM gone;

-- name: distinct_clips
SELECT count(*), sum(bytes) FROM (SELECT DISTINCT clip, bytes FROM gone);

-- name: worst
-- The clips that would have been missed most: how often they were used from then on, and how soon.
WITH missed AS (
    SELECT clip, nth, bytes, night, ends FROM gone WHERE used
), wanted AS (
    SELECT clip, max(nth + used::INTEGER) AS uses FROM spans SEMI JOIN missed USING (clip) GROUP BY clip
)
SELECT id, found.bytes, hour_of(night) AS purged, ends AS wanted, uses - nth AS uses FROM (
    SELECT clip, bytes, nth, night, ends, uses FROM missed JOIN wanted USING (clip)
    ORDER BY uses - nth DESC, ends - night * {day}, clip, ends LIMIT {most}) AS found
JOIN clips USING (clip) ORDER BY uses DESC, ends - purged, id, ends;

-- name: scoped
-- What a budget weighs in one night, in each of its groups: what is in its scope and not condemned already.
CREATE OR REPLACE TEMP TABLE scoped AS
SELECT k_clip AS clip, k_life AS life, k_created AS created, k_bytes AS bytes, ({value})::DOUBLE AS value, {member} AS member FROM (
    SELECT clip AS k_clip, life AS k_life, created AS k_created, bytes AS k_bytes{exposed} FROM spans
    WHERE begins <= hour_of({night}) AND ends > hour_of({night}))
WHERE coalesce({condition}, false)
    AND (k_clip, k_life) NOT IN (SELECT (clip, life) FROM gone WHERE gone.night - {wait} <= {night})
    AND (k_clip, k_life) NOT IN (SELECT (clip, life) FROM evicted);

-- name: evict
-- What has to go so that the rest of its group fits, the least valuable first.
INSERT INTO evicted
SELECT clip, life, {night} FROM (
    SELECT clip, life, member, sum(bytes) OVER ({group} ORDER BY value, created, clip ROWS UNBOUNDED PRECEDING) - bytes AS before
    FROM (FROM scoped WHERE value IS NOT NULL AND NOT isnan(value)) AS worth SEMI JOIN (
        FROM segments WHERE begins <= hour_of({night}) AND ends > hour_of({night}) AND greatest(floor, created + {age}) <= hour_of({night})
    ) AS free USING (clip, life))
JOIN (SELECT member, sum(bytes) - {budget} AS excess FROM scoped GROUP BY member) USING (member)
WHERE before < excess;

-- name: evicted
-- What budgets make of it: gone when the grace is over, unless it was used before, or a rule is faster.
CREATE OR REPLACE TABLE gone AS
WITH fallen AS (
    SELECT clip, life, any_value(nth) AS nth, any_value(bytes) AS bytes, bool_or(used) AS used, max(ends) AS ends,
        any_value(evicted.night) + {wait} AS night
    FROM spans JOIN evicted USING (clip, life) GROUP BY clip, life
)
SELECT clip, life, any_value(nth) AS nth, any_value(bytes) AS bytes, any_value(used) AS used, any_value(ends) AS ends, min(night) AS night FROM (
    FROM gone UNION ALL BY NAME SELECT * FROM fallen WHERE night < night(ends))
GROUP BY clip, life;
