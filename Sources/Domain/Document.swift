import JSON

/// A resource as someone wants it to be; what it leaves out is empty, but for the status.
package enum ResourceDocument: Sendable, Equatable {
    case group(ResourceKind, GroupDocument)
    case experiment(ExperimentDocument)

    package var kind: ResourceKind {
        switch self {
        case .group(let kind, _): kind
        case .experiment: .experiment
        }
    }

    package var id: ResourceID {
        switch self {
        case .group(_, let document): document.id
        case .experiment(let document): document.id
        }
    }
}

package struct GroupDocument: Sendable, Equatable {
    package var id: ResourceID
    package var name: String?
    package var description: String?
    /// Nil leaves the status as it is.
    package var status: GroupStatus?

    package init(
        id: ResourceID, name: String? = nil, description: String? = nil,
        status: GroupStatus? = nil
    ) {
        self.id = id
        self.name = name
        self.description = description
        self.status = status
    }
}

package struct CohortDocument: Sendable, Equatable {
    package var index: Int
    /// Nil: the stored value, or now for a new cohort.
    package var createdAt: Timestamp?
    package var splits: [Split]
}

package struct ExperimentDocument: Sendable, Equatable {
    package var id: ResourceID
    package var name: String?
    package var description: String?
    /// Nil leaves the status as it is; a new experiment is then a draft.
    package var status: ExperimentStatus?
    package var lab: ResourceID = .defaultLab
    package var subjectType: ResourceID = .anySubjectType
    package var hypothesis: String?
    package var links: [Link] = []
    package var isSealed = false
    package var winningVariant: ResourceID?
    /// Nil leaves the reason as it is.
    package var endedReason: EndedReason?
    package var variants: [Variant] = []
    package var cohorts: [CohortDocument] = []
}

extension ExperimentDocument {
    /// The document that would change nothing.
    package init(_ experiment: Experiment) {
        self.init(
            id: experiment.id, name: experiment.name, description: experiment.description,
            status: experiment.status, lab: experiment.lab, subjectType: experiment.subjectType,
            hypothesis: experiment.hypothesis, links: experiment.links,
            isSealed: experiment.isSealed,
            winningVariant: experiment.status == .winnerDeclared ? experiment.winner : nil,
            endedReason: experiment.endedReason, variants: experiment.variants,
            cohorts: experiment.cohorts.map {
                CohortDocument(index: $0.index, createdAt: $0.createdAt, splits: $0.splits)
            })
    }
}

extension ResourceDocument {
    /// Reads a document, or says everything that is wrong with its form.
    package init(_ json: JSONValue, pointer: String = "") throws(Refusal) {
        let problems = Problems()
        let root = DocumentReader(json, pointer, problems)
        let document = Self.read(root)
        guard problems.list.isEmpty, let document else { throw .invalid(problems.list) }
        self = document
    }

    private static func read(_ root: DocumentReader) -> ResourceDocument? {
        if let version = root.integer("schemaVersion", required: true), version != 1 {
            root.problem("schemaVersion", "schemaVersion must be 1.")
        }
        let kind: ResourceKind? = root.value("kind", required: true)
        root.allow(["schemaVersion", "kind", "metadata", "spec"])
        guard let metadata = root.object("metadata", required: true) else { return nil }
        let spec = root.object("spec") ?? root.empty("spec")
        switch kind {
        case nil: return nil
        case .experiment: return experiment(metadata, spec).map { .experiment($0) }
        case .lab, .subjectType:
            metadata.allow(metadataKeys)
            spec.allow([])
            let status: GroupStatus? = metadata.value("status")
            guard let kind, let id = metadata.id("id", required: true) else { return nil }
            return .group(
                kind,
                GroupDocument(
                    id: id, name: metadata.text("name", max: Limits.nameBytesMax),
                    description: metadata.text("description"), status: status))
        }
    }

    /// Those the ledger fills in are accepted, so that what was read can be applied.
    private static let metadataKeys = [
        "id", "name", "description", "status", "resourceVersion", "createdAt", "updatedAt",
    ]

    private static func experiment(
        _ metadata: DocumentReader, _ spec: DocumentReader
    ) -> ExperimentDocument? {
        metadata.allow(metadataKeys + ["parentKind", "parentId"])
        spec.allow([
            "subjectType", "hypothesis", "links", "sealed", "variants", "cohorts", "winningVariant",
            "endedReason",
        ])
        if let parent = metadata.text("parentKind"), parent != ResourceKind.lab.rawValue {
            metadata.problem("parentKind", "parentKind of an experiment is lab.")
        }
        let name = metadata.text("name", max: Limits.nameBytesMax)
        let description = metadata.text("description")
        let status: ExperimentStatus? = metadata.value("status")
        let lab = metadata.id("parentId") ?? .defaultLab
        let reason: EndedReason? = spec.value("endedReason")
        let variants = spec.elements("variants", max: Limits.variantsMax).compactMap(variant)
        let cohorts = spec.elements("cohorts", max: Limits.cohortsMax).compactMap(cohort)
        guard let id = metadata.id("id", required: true) else { return nil }
        return ExperimentDocument(
            id: id, name: name, description: description, status: status, lab: lab,
            subjectType: spec.id("subjectType") ?? .anySubjectType,
            hypothesis: spec.text("hypothesis"), links: spec.links("links"),
            isSealed: spec.bool("sealed") ?? false,
            winningVariant: spec.id("winningVariant"), endedReason: reason, variants: variants,
            cohorts: cohorts)
    }

    private static func variant(_ reader: DocumentReader) -> Variant? {
        reader.allow(["id", "isControl", "name", "description"])
        let isControl = reader.bool("isControl") ?? false
        let name = reader.text("name", max: Limits.nameBytesMax)
        let description = reader.text("description")
        guard let id = reader.id("id", required: true) else { return nil }
        return Variant(id: id, isControl: isControl, name: name, description: description)
    }

    private static func cohort(_ reader: DocumentReader) -> CohortDocument? {
        reader.allow(["index", "createdAt", "variants"])
        let index = reader.integer("index", required: true)
        let createdAt = reader.time("createdAt")
        let splits = reader.elements("variants", max: Limits.variantsMax).compactMap {
            element -> Split? in
            element.allow(["variant", "split"])
            let id = element.id("variant", required: true)
            let split = element.number("split", required: true)
            guard let id, let split else { return nil }
            if !(0...1).contains(split) {
                element.problem("split", "A split is between 0 and 1.")
            }
            return Split(variant: id, split: split)
        }
        guard let index else { return nil }
        return CohortDocument(
            index: Int(clamping: index), createdAt: createdAt, splits: splits)
    }

    /// Reads one cohort from a request of its own.
    package static func cohort(
        _ json: JSONValue
    ) throws(Refusal) -> CohortDocument {
        let problems = Problems()
        let cohort = cohort(DocumentReader(json, "", problems))
        guard problems.list.isEmpty, let cohort else { throw .invalid(problems.list) }
        return cohort
    }
}
