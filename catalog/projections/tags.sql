-- name: effects
-- Each tag of each clip at every step that changed something about it: putting on what is there and taking off what is not change nothing.
CREATE OR REPLACE TEMP TABLE retagged AS
SELECT position, clip, tag, kind FROM (
    SELECT position, clip, tag, kind,
        lag(kind, 1, CASE WHEN list_contains(from_json(tags, '["VARCHAR"]'), tag) THEN 'ClipTagged' ELSE 'ClipUntagged' END)
            OVER (PARTITION BY clip, tag ORDER BY position) AS before
    FROM touched WHERE place IS NOT NULL AND tag IS NOT NULL AND kind IN ('ClipTagged', 'ClipUntagged'))
WHERE kind <> before;

-- name: update
UPDATE catalog.folded.clips SET tags = nullif(to_json(list_sort(list_concat(
    list_filter(coalesce(from_json(tags, '["VARCHAR"]'), []), lambda tag: NOT list_contains(news.gone, tag)), news.come)))::VARCHAR, '[]')
FROM (
    SELECT clip, coalesce(list(tag) FILTER (kind = 'ClipTagged'), []) AS come, list(tag) AS gone
    FROM (SELECT clip, tag, arg_max(kind, position) AS kind FROM retagged GROUP BY ALL) GROUP BY clip) AS news
WHERE clips.id = news.clip;

-- name: record
-- Beside what the events found, the tags that they changed.
UPDATE catalog.folded.changes SET tag = retagged.tag FROM retagged WHERE changes.position = retagged.position;
