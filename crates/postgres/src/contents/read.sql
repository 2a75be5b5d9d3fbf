-- What an archive does not carry so that it can be given to other roles: who
-- owns what, who may do what, what the database sets for its sessions. One
-- JSON document; see `Contents`. Objects are named as
-- `pg_identify_object_as_address` does, whatever the search path.
WITH item (classid, objid, objsubid, owner, acl, base) AS (
  SELECT 'pg_class'::regclass::oid, oid, 0, relowner, relacl,
      CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char"
    FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
    AND (oid >= 16384 OR relnamespace = 'pg_catalog'::regnamespace)
  UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum, c.relowner, a.attacl, 'c'
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
  UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proowner, proacl, 'f' FROM pg_proc
    WHERE NOT pg_is_other_temp_schema(pronamespace)
  UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, t.typowner, t.typacl, 'T' FROM pg_type t
    WHERE t.oid >= 16384 AND t.typtype NOT IN ('p', 'm') AND NOT pg_is_other_temp_schema(t.typnamespace)
    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
    AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
  UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspowner, nspacl, 'n' FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  UNION ALL SELECT 'pg_language'::regclass, oid, 0, lanowner, lanacl, 'l' FROM pg_language
  UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwowner, fdwacl, 'F'
    FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, srvowner, srvacl, 'S' FROM pg_foreign_server
  UNION ALL SELECT 'pg_operator'::regclass, oid, 0, oprowner, NULL, NULL FROM pg_operator
  UNION ALL SELECT 'pg_opclass'::regclass, oid, 0, opcowner, NULL, NULL FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, 0, opfowner, NULL, NULL FROM pg_opfamily
  UNION ALL SELECT 'pg_collation'::regclass, oid, 0, collowner, NULL, NULL FROM pg_collation
  UNION ALL SELECT 'pg_conversion'::regclass, oid, 0, conowner, NULL, NULL FROM pg_conversion
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, 0, dictowner, NULL, NULL FROM pg_ts_dict
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, 0, cfgowner, NULL, NULL FROM pg_ts_config
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, 0, stxowner, NULL, NULL FROM pg_statistic_ext
  UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0, evtowner, NULL, NULL FROM pg_event_trigger
  UNION ALL SELECT 'pg_publication'::regclass, oid, 0, pubowner, NULL, NULL FROM pg_publication
  UNION ALL SELECT 'pg_largeobject'::regclass, oid, 0, lomowner, lomacl, 'L'
    FROM (SELECT * FROM pg_largeobject_metadata ORDER BY oid LIMIT {large_objects}) lo
), found AS (
  SELECT i.*, pg_get_userbyid(i.owner)::text AS role,
    i.acl IS NOT NULL AND i.acl IS DISTINCT FROM n.initprivs AS granted,
    -- Whoever owns an extension or a table owns what is part of it.
    i.objsubid = 0 AND (i.objid >= 16384
        OR i.classid IN ('pg_namespace'::regclass, 'pg_largeobject'::regclass))
      AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = i.classid AND d.objid = i.objid AND d.objsubid = 0
        AND (d.deptype = 'e' OR (d.deptype IN ('a', 'i') AND i.classid = 'pg_class'::regclass
          AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0))) AS owned
  FROM item i LEFT JOIN pg_init_privs n
    ON n.classoid = i.classid AND n.objoid = i.objid AND n.objsubid = i.objsubid
), named AS (
  SELECT f.*, (SELECT jsonb_build_array(a.type, a.object_names, a.object_args)
      FROM pg_identify_object_as_address(f.classid, f.objid, f.objsubid) a) AS object
  FROM found f WHERE f.granted OR (f.owned AND f.role <> 'yuantus_tenant_owner')
), granted AS (
  SELECT n.object, n.role, n.objsubid > 0 AS part,
    -- Of newer versions' privileges the archive knows nothing, the owner has them.
    coalesce((SELECT bool_and(EXISTS (SELECT FROM aclexplode(n.acl) have
          WHERE have.grantee = n.owner AND have.privilege_type = all_of.privilege_type))
        FROM aclexplode(acldefault(n.base, n.owner)) all_of WHERE all_of.grantee = n.owner),
      true) AS owner_has_all,
    coalesce((SELECT jsonb_agg(jsonb_build_array(pg_get_userbyid(e.grantor),
          CASE e.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(e.grantee) END,
          e.privilege_type, e.is_grantable) ORDER BY e.n)
        FROM aclexplode(n.acl) WITH ORDINALITY
          AS e (grantor, grantee, privilege_type, is_grantable, n)), '[]') AS grants
  FROM named n WHERE n.granted
)
SELECT jsonb_build_object(
  'role', {role}::text,
  'search_path', coalesce((SELECT substr(c, 13)
      FROM pg_db_role_setting s, unnest(s.setconfig) c
      WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND s.setrole = (SELECT oid FROM pg_roles WHERE rolname = {role})
      AND c LIKE 'search\_path=%'), (SELECT reset_val FROM pg_settings WHERE name = 'search_path'))
    || coalesce((SELECT string_agg(', ' || quote_ident(nspname), '' ORDER BY nspname)
      FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'), ''),
  'owners', (SELECT coalesce(jsonb_agg(o ORDER BY o ->> 'role'), '[]') FROM (
      SELECT jsonb_build_object('role', role, 'objects', jsonb_agg(object ORDER BY object)) AS o
      FROM named WHERE owned AND role <> 'yuantus_tenant_owner' GROUP BY role) AS owners),
  'rights', (SELECT coalesce(jsonb_agg(r ORDER BY part, r), '[]') FROM (
      SELECT part, jsonb_build_object('owner', role, 'owner_has_all', owner_has_all,
        'grants', grants, 'objects', jsonb_agg(object ORDER BY object)) AS r
      FROM granted GROUP BY part, role, owner_has_all, grants) AS rights),
  'inlined', (SELECT coalesce(jsonb_agg((SELECT jsonb_build_array(a.type, a.object_names, a.object_args)
        FROM pg_identify_object_as_address('pg_proc'::regclass, p.oid, 0) a) ORDER BY p.oid), '[]')
    FROM pg_proc p WHERE p.oid >= 16384 AND p.prokind = 'f' AND p.provolatile <> 'i'
    AND EXISTS (SELECT FROM pg_depend d JOIN pg_class c ON c.oid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND c.relkind IN ('i', 'I')
      AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid)),
  'policies', (SELECT coalesce(jsonb_agg(jsonb_build_object('schema', s.nspname, 'table', c.relname,
        'name', p.polname, 'permissive', p.polpermissive, 'command', p.polcmd,
        'roles', (SELECT jsonb_agg(pg_get_userbyid(r)) FROM unnest(p.polroles) AS u (r)),
        'using', pg_get_expr(p.polqual, p.polrelid),
        'check', pg_get_expr(p.polwithcheck, p.polrelid)) ORDER BY p.oid), '[]')
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    JOIN pg_namespace s ON s.oid = c.relnamespace
    WHERE NOT 0 = ANY (p.polroles)),
  'defaults', (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'role', pg_get_userbyid(a.defaclrole), 'schema', s.nspname, 'kind', a.defaclobjtype,
        'owner_has_all', coalesce((SELECT bool_and(EXISTS (SELECT FROM aclexplode(a.defaclacl) have
            WHERE have.grantee = a.defaclrole AND have.privilege_type = all_of.privilege_type))
          FROM aclexplode(acldefault(CASE a.defaclobjtype WHEN 'S' THEN 's' ELSE a.defaclobjtype END,
            a.defaclrole)) all_of WHERE all_of.grantee = a.defaclrole), true),
        'grants', (SELECT coalesce(jsonb_agg(jsonb_build_array(pg_get_userbyid(e.grantor),
            CASE e.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(e.grantee) END,
            e.privilege_type, e.is_grantable) ORDER BY e.n), '[]')
          FROM aclexplode(a.defaclacl) WITH ORDINALITY
            AS e (grantor, grantee, privilege_type, is_grantable, n)))
      ORDER BY pg_get_userbyid(a.defaclrole), s.nspname, a.defaclobjtype), '[]')
    FROM pg_default_acl a LEFT JOIN pg_namespace s ON s.oid = a.defaclnamespace)
)::text
