import Domain
import JSON
import Postgres

/// Labs or subject types as columns: id, name, description, status, resource version, times.
struct GroupRows {
    private var ids = BinaryArray(.text)
    private var names = BinaryArray(.text)
    private var descriptions = BinaryArray(.text)
    private var statuses = BinaryArray(.text)
    private var provenances = ProvenanceColumns()

    mutating func append(_ group: Group) {
        ids.append(text: group.id.text)
        names.append(optional: group.name)
        descriptions.append(optional: group.description)
        statuses.append(text: group.status.rawValue)
        provenances.append(group.provenance)
    }

    var parameters: [Parameter] {
        [.array(ids), .array(names), .array(descriptions), .array(statuses)]
            + provenances.parameters
    }
}

/// Experiments as the columns of their table, in its order.
struct ExperimentRows {
    private var texts = [BinaryArray](repeating: BinaryArray(.text), count: 7)
    private var links = BinaryArray(.json)
    private var winners = BinaryArray(.text)
    private var reasons = BinaryArray(.text)
    private var provenances = ProvenanceColumns()
    private var sealed = BinaryArray(.bool)

    mutating func append(_ experiment: Experiment) {
        sealed.append(experiment.isSealed)
        let values = [
            experiment.id.text, experiment.name, experiment.description,
            experiment.status.rawValue, experiment.lab.text, experiment.subjectType.text,
            experiment.hypothesis,
        ]
        for (index, value) in values.enumerated() { texts[index].append(optional: value) }
        let members = experiment.links.map { JSONValue.Member($0.name, .string($0.target)) }
        links.append(bytes: JSONValue.object(members).encoded)
        winners.append(optional: experiment.winner?.text)
        reasons.append(optional: experiment.endedReason?.rawValue)
        provenances.append(experiment.provenance)
    }

    var parameters: [Parameter] {
        texts.map { .array($0) } + [.array(links), .array(winners), .array(reasons)]
            + provenances.parameters + [.array(sealed)]
    }
}

/// Variants of experiments as the columns of their table, in its order.
struct VariantRows {
    private var experiments = BinaryArray(.text)
    private var ids = BinaryArray(.text)
    private var ordinals = BinaryArray(.int32)
    private var controls = BinaryArray(.bool)
    private var names = BinaryArray(.text)
    private var descriptions = BinaryArray(.text)

    mutating func append(_ experiment: Experiment) {
        for (index, variant) in experiment.variants.enumerated() {
            experiments.append(text: experiment.id.text)
            ids.append(text: variant.id.text)
            ordinals.append(Int32(index + 1))
            controls.append(variant.isControl)
            names.append(optional: variant.name)
            descriptions.append(optional: variant.description)
        }
    }

    var parameters: [Parameter] {
        [
            .array(experiments), .array(ids), .array(ordinals), .array(controls), .array(names),
            .array(descriptions),
        ]
    }
}

/// Shares of cohorts as the columns of their table, in its order.
struct SplitRows {
    private var experiments = BinaryArray(.text)
    private var cohorts = BinaryArray(.int32)
    private var ordinals = BinaryArray(.int32)
    private var variants = BinaryArray(.text)
    private var splits = BinaryArray(.double)
    private var times = BinaryArray(.timestamp)

    mutating func append(_ experiment: Experiment) {
        for cohort in experiment.cohorts {
            for (index, split) in cohort.splits.enumerated() {
                experiments.append(text: experiment.id.text)
                cohorts.append(Int32(cohort.index))
                ordinals.append(Int32(index + 1))
                variants.append(text: split.variant.text)
                splits.append(split.split)
                times.append(timestamp: cohort.createdAt.microseconds)
            }
        }
    }

    var parameters: [Parameter] {
        [
            .array(experiments), .array(cohorts), .array(ordinals), .array(variants),
            .array(splits), .array(times),
        ]
    }
}

/// Resource versions, times of creation and of the latest change.
private struct ProvenanceColumns {
    private var versions = BinaryArray(.int64)
    private var created = BinaryArray(.timestamp)
    private var updated = BinaryArray(.timestamp)

    mutating func append(_ provenance: Provenance) {
        versions.append(provenance.resourceVersion)
        created.append(optional: provenance.createdAt)
        updated.append(optional: provenance.updatedAt)
    }

    var parameters: [Parameter] { [.array(versions), .array(created), .array(updated)] }
}

extension BinaryArray {
    /// Appends a text, or NULL where there is none.
    mutating func append(optional text: String?) {
        if let text { append(text: text) } else { appendNull() }
    }

    fileprivate mutating func append(optional time: Timestamp?) {
        if let time { append(timestamp: time.microseconds) } else { appendNull() }
    }
}
