import Domain
import JSON
import Postgres

/// Step experiments: their definitions, counts of their runs, and their rollout tables.
extension ProjectionWriter {
    func writeSteps(_ fold: ProjectionFold) -> [Statement] {
        var statements: [Statement] = []
        if !fold.changedSteps.isEmpty { statements.append(replaceSteps(fold)) }
        if !fold.definitions.isEmpty { statements.append(addDefinitions(fold.definitions)) }
        if !fold.selectionCounts.runs.isEmpty { statements.append(add(fold.selectionCounts)) }
        if !fold.rollouts.isEmpty { statements += replaceRollouts(fold.rollouts) }
        return statements
    }

    private func replaceSteps(_ fold: ProjectionFold) -> Statement {
        var keys = StepColumns()
        var definitions = BinaryArray(.int32)
        var created = BinaryArray(.timestamp)
        var updated = BinaryArray(.timestamp)
        for step in fold.changedSteps {
            guard let declared = fold.state.steps[step] else { continue }
            keys.append(step)
            definitions.append(Int32(clamping: declared.number))
            created.append(timestamp: declared.createdAt.microseconds)
            updated.append(timestamp: declared.updatedAt.microseconds)
        }
        return Statement(
            """
            INSERT INTO \(schema).step_experiments
                (function_id, name, definition, created_at, updated_at)
            SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[],
                                 $5::timestamptz[])
            ON CONFLICT (function_id, name) DO UPDATE
            SET definition = excluded.definition, updated_at = excluded.updated_at
            """, keys.parameters + [.array(definitions), .array(created), .array(updated)])
    }

    /// A definition that comes back has its row already.
    private func addDefinitions(_ rows: [StepDefinitionRow]) -> Statement {
        var keys = StepColumns()
        var numbers = BinaryArray(.int32)
        var strategies = BinaryArray(.text)
        var variants = BinaryArray(.json)
        var weights = BinaryArray(.json)
        var hashVersions = BinaryArray(.int32)
        var fixed = BinaryArray(.text)
        var created = BinaryArray(.timestamp)
        for row in rows {
            keys.append(row.step)
            numbers.append(Int32(clamping: row.number))
            strategies.append(text: row.definition.strategy.rawValue)
            let names = row.definition.variants.map { JSONValue.string($0) }
            variants.append(bytes: JSONValue.array(names).encoded)
            var writer = JSONWriter()
            writer.weights(row.definition.weights)
            weights.append(bytes: writer.bytes)
            hashVersions.append(Int32(row.definition.hashVersion.rawValue))
            fixed.append(optional: row.definition.fixed)
            created.append(timestamp: row.at.microseconds)
        }
        return Statement(
            """
            INSERT INTO \(schema).step_definitions
                (function_id, experiment_name, definition, strategy, variants, weights,
                 hash_version, fixed_variant, created_at)
            SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::json[],
                                 $6::json[], $7::int[], $8::text[], $9::timestamptz[])
            ON CONFLICT (function_id, experiment_name, definition) DO NOTHING
            """,
            keys.parameters
                + [numbers, strategies, variants, weights, hashVersions, fixed, created].map {
                    .array($0)
                })
    }

    private func add(_ counts: SelectionCounts) -> Statement {
        var keys = StepColumns()
        var definitions = BinaryArray(.int32)
        var variants = BinaryArray(.text)
        var days = BinaryArray(.int32)
        var runs = BinaryArray(.int64)
        for (arm, count) in counts.runs {
            keys.append(arm.step)
            definitions.append(arm.definition)
            variants.append(text: arm.variant.text)
            days.append(arm.day)
            runs.append(count)
        }
        return Statement(
            """
            INSERT INTO \(schema).selection_counts AS c
                (function_id, experiment_name, definition, variant, day, runs)
            SELECT function, experiment, definition, variant, date '1970-01-01' + day, runs
              FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::int[], $6::bigint[])
                   AS a(function, experiment, definition, variant, day, runs)
            ON CONFLICT (function_id, experiment_name, definition, variant, day)
            DO UPDATE SET runs = c.runs + excluded.runs
            """, keys.parameters + [definitions, variants, days, runs].map { .array($0) })
    }

    private func replaceRollouts(_ rows: [RolloutKey: RolloutRow]) -> [Statement] {
        var (gone, goneKeys) = (StepColumns(), BinaryArray(.text))
        var (keys, names) = (StepColumns(), BinaryArray(.text))
        var variants = BinaryArray(.text)
        var positions = BinaryArray(.int64)
        var updated = BinaryArray(.timestamp)
        for (key, row) in rows {
            guard let variant = row.variant else {
                gone.append(key.step)
                goneKeys.append(text: key.key)
                continue
            }
            keys.append(key.step)
            names.append(text: key.key)
            variants.append(text: variant)
            positions.append(row.position)
            updated.append(timestamp: row.updatedAt.microseconds)
        }
        return [
            Statement(
                """
                DELETE FROM \(schema).rollouts r
                 USING unnest($1::text[], $2::text[], $3::text[]) AS k(function, experiment, key)
                 WHERE r.function_id = k.function AND r.experiment_name = k.experiment
                   AND r.key = k.key
                """, gone.parameters + [.array(goneKeys)]),
            Statement(
                """
                INSERT INTO \(schema).rollouts
                    (function_id, experiment_name, key, variant, position, updated_at)
                SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[],
                                     $6::timestamptz[])
                ON CONFLICT (function_id, experiment_name, key) DO UPDATE
                SET variant = excluded.variant, position = excluded.position,
                    updated_at = excluded.updated_at
                """, keys.parameters + [names, variants, positions, updated].map { .array($0) }),
        ]
    }
}

/// Functions and names of step experiments.
private struct StepColumns {
    private var functions = BinaryArray(.text)
    private var names = BinaryArray(.text)

    mutating func append(_ step: StepKey) {
        functions.append(text: step.function)
        names.append(text: step.name)
    }

    var parameters: [Parameter] { [.array(functions), .array(names)] }
}
