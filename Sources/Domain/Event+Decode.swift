import JSON

/// An event's data does not have the form its type asks for.
package struct EventDecodingError: Error, Sendable, Equatable {
    package let type: String
    /// A JSON pointer into the data.
    package let pointer: String
    package let reason: String
}

extension LedgerEvent {
    /// The types that ``init(type:data:)`` reads.
    package static let types = [
        "LabCreated", "LabUpdated", "SubjectTypeCreated", "SubjectTypeUpdated",
        "ExperimentCreated", "ExperimentUpdated", "VariantAdded", "VariantUpdated",
        "VariantRemoved", "CohortAdded", "ExperimentActivated", "WinnerDeclared",
        "ExperimentEnded", "ExperimentArchived", "ExperimentReopened", "AssignmentMade",
        "StepExperimentCreated", "ExperimentDefinitionChanged", "VariantSelected",
        "RolloutChanged", "ScoreRecorded", "ScoreRetracted", "SubjectErased", "KeyCreated",
        "KeyRevoked", "WebhookCreated", "WebhookUpdated", "WebhookSecretRotated", "WebhookPaused",
        "WebhookResumed", "WebhookDisabled", "WebhookRemoved", "WebhookReplayRequested",
        "WebhookReplayCancelled", "WebhookReplayCompleted", "WebhookRedelivered",
    ]

    /// Reads an event back from its type and data.
    package init(type: String, data: JSONValue) throws(EventDecodingError) {
        let reader = EventReader(type: type, data: data)
        switch type {
        case "LabCreated": self = .groupCreated(.lab, try reader.group())
        case "SubjectTypeCreated": self = .groupCreated(.subjectType, try reader.group())
        case "LabUpdated":
            self = .groupUpdated(
                .lab, try reader.id("lab"), resourceVersion: try reader.resourceVersion(),
                try reader.changes())
        case "SubjectTypeUpdated":
            self = .groupUpdated(
                .subjectType, try reader.id("subjectType"),
                resourceVersion: try reader.resourceVersion(), try reader.changes())
        case "AssignmentMade": self = .assignmentMade(try reader.assignment())
        case "StepExperimentCreated":
            self = .stepCreated(try reader.step(), try reader.definition())
        case "ExperimentDefinitionChanged":
            self = .definitionChanged(try reader.definitionChanged())
        case "VariantSelected": self = .variantSelected(try reader.selection())
        case "RolloutChanged": self = .rolloutChanged(try reader.rolloutChanged())
        case "ScoreRecorded": self = .scoreRecorded(try reader.score())
        case "ScoreRetracted":
            self = .scoreRetracted(
                ScoreRetracted(
                    score: try reader.score(), position: try reader.integer("score"),
                    reason: try reader.optionalText("reason")))
        case "SubjectErased": self = .subjectErased(try reader.erasure())
        case "KeyCreated": self = .keyCreated(try reader.key())
        case "KeyRevoked": self = .keyRevoked(id: try reader.text("key"))
        default:
            if let change = try WebhookChange(reader) {
                self = .webhook(try reader.text("webhook"), change)
                return
            }
            guard let change = try ExperimentChange(reader) else {
                throw reader.error("", "unknown event type")
            }
            self = .experiment(
                try reader.experimentID(), resourceVersion: try reader.resourceVersion(), change)
        }
    }
}

extension ExperimentChange {
    /// Nil where the type is none of an experiment's.
    fileprivate init?(_ reader: EventReader) throws(EventDecodingError) {
        switch reader.type {
        case "ExperimentCreated": self = .created(try reader.experiment())
        case "ExperimentUpdated": self = .updated(try reader.changes())
        case "VariantAdded": self = .variantAdded(try reader.variant("variant"))
        case "VariantRemoved": self = .variantRemoved(try reader.variant("variant"))
        case "VariantUpdated":
            self = .variantUpdated(
                before: try reader.variant("before"), after: try reader.variant("after"))
        case "CohortAdded": self = .cohortAdded(try reader.cohort("cohort"))
        case "ExperimentActivated": self = .activated(from: try reader.from())
        case "WinnerDeclared":
            self = .winnerDeclared(
                try reader.id("variant"), previous: try reader.optionalID("previous"),
                from: try reader.from())
        case "ExperimentEnded":
            self = .ended(try reader.value("reason"), from: try reader.from())
        case "ExperimentArchived": self = .archived(from: try reader.from())
        case "ExperimentReopened":
            self = .reopened(
                to: try reader.value("to"), reason: try reader.text("reason"),
                from: try reader.from())
        default: return nil
        }
    }
}

/// Reads the members of one event's data by their pointers.
struct EventReader {
    let type: String
    let data: JSONValue

    func error(_ pointer: String, _ reason: String) -> EventDecodingError {
        EventDecodingError(type: type, pointer: pointer, reason: reason)
    }

    /// Reads data that stands at a path inside other data.
    func inside(_ path: String) throws(EventDecodingError) -> EventReader {
        EventReader(type: type, data: try required(path, "give an object") { $0 })
    }

    /// The member at a path such as `metadata/id`; nil where it is missing or null.
    func member(_ path: String) -> JSONValue? {
        var value = data
        for part in path.split(separator: "/") {
            guard let next = value[String(part)] else { return nil }
            value = next
        }
        return value.isNull ? nil : value
    }

    func required<T>(
        _ path: String, _ what: String, _ read: (JSONValue) -> T?
    ) throws(EventDecodingError) -> T {
        guard let member = member(path) else { throw error("/\(path)", "is missing; \(what)") }
        guard let value = read(member) else { throw error("/\(path)", what) }
        return value
    }

    func optional<T>(
        _ path: String, _ what: String, _ read: (JSONValue) -> T?
    ) throws(EventDecodingError) -> T? {
        member(path) == nil ? nil : try required(path, what, read)
    }

    func text(_ path: String) throws(EventDecodingError) -> String {
        try required(path, "give a string") { $0.string }
    }

    func optionalText(_ path: String) throws(EventDecodingError) -> String? {
        try optional(path, "give a string") { $0.string }
    }

    func id(_ path: String) throws(EventDecodingError) -> ResourceID {
        try required(path, ResourceID.rule) { $0.string.flatMap { ResourceID($0) } }
    }

    func optionalID(_ path: String) throws(EventDecodingError) -> ResourceID? {
        try optional(path, ResourceID.rule) { $0.string.flatMap { ResourceID($0) } }
    }

    func integer(_ path: String) throws(EventDecodingError) -> Int64 {
        try required(path, "give a whole number") { $0.integer }
    }

    func value<T: RawRepresentable & CaseIterable>(
        _ path: String
    ) throws(EventDecodingError) -> T where T.RawValue == String {
        let rule = "use one of " + T.allCases.map(\.rawValue).joined(separator: ", ")
        return try required(path, rule) { $0.string.flatMap { T(rawValue: $0) } }
    }

    /// Missing where a client proposes the event; the ledger then fills it in.
    func resourceVersion() throws(EventDecodingError) -> Int64 {
        try optional("resourceVersion", "give a whole number") { $0.integer } ?? 0
    }

    /// `created` events name the experiment in their metadata, and it is enough there.
    func experimentID() throws(EventDecodingError) -> ResourceID {
        if let id = try optionalID("experiment") { return id }
        return try id("metadata/id")
    }

    func from() throws(EventDecodingError) -> ExperimentStatus {
        member("from") == nil ? .draft : try value("from")
    }

    func group() throws(EventDecodingError) -> Group {
        Group(
            id: try id("metadata/id"), name: try optionalText("metadata/name"),
            description: try optionalText("metadata/description"),
            status: member("metadata/status") == nil ? .active : try value("metadata/status"))
    }

    func experiment() throws(EventDecodingError) -> Experiment {
        Experiment(
            id: try experimentID(), name: try optionalText("metadata/name"),
            description: try optionalText("metadata/description"),
            lab: try optionalID("metadata/parentId") ?? .defaultLab,
            subjectType: try optionalID("spec/subjectType") ?? .anySubjectType,
            hypothesis: try optionalText("spec/hypothesis"),
            links: try optional("spec/links", "give a map of strings", links) ?? [],
            isSealed: try optional("spec/sealed", "give true or false") { $0.bool } ?? false)
    }

    private func links(_ value: JSONValue) -> [Link]? {
        guard let members = value.object else { return nil }
        let links = members.compactMap { member in
            member.value.string.map { Link(name: member.key, target: $0) }
        }
        return links.count == members.count ? links : nil
    }

    func variant(_ path: String) throws(EventDecodingError) -> Variant {
        Variant(
            id: try id("\(path)/id"),
            isControl: try optional("\(path)/isControl", "give true or false") { $0.bool } ?? false,
            name: try optionalText("\(path)/name"),
            description: try optionalText("\(path)/description"))
    }

    func cohort(_ path: String) throws(EventDecodingError) -> Cohort {
        let createdAt = try optional("\(path)/createdAt", "give an RFC 3339 time") {
            $0.string.flatMap { Timestamp($0) }
        }
        let elements = try required("\(path)/variants", "give a list of variant and split") {
            $0.array
        }
        var splits: [Split] = []
        for (index, element) in elements.enumerated() {
            guard let id = element["variant"]?.string.flatMap({ ResourceID($0) }),
                let split = element["split"]?.double
            else { throw error("/\(path)/variants/\(index)", "give a variant and its split") }
            splits.append(Split(variant: id, split: split))
        }
        return Cohort(
            index: Int(try integer("\(path)/index")),
            createdAt: createdAt ?? .notGiven, splits: splits)
    }

    func assignment() throws(EventDecodingError) -> AssignmentMade {
        AssignmentMade(
            experiment: try id("experiment"), subject: try text("subject"),
            subjectType: try id("subjectType"), variant: try id("variant"),
            cohort: Int(try integer("cohort")),
            u: try required("u", "give a number") { $0.double },
            sealed: try optionalText("sealed"))
    }

    func key() throws(EventDecodingError) -> Key {
        Key(
            id: try text("key"), role: try value("role"), name: try optionalText("name"),
            salt: try text("salt"), hash: try text("hash"))
    }

    func changes() throws(EventDecodingError) -> [FieldChange] {
        let elements = try required("changes", "give a list of changes") { $0.array }
        var changes: [FieldChange] = []
        for (index, element) in elements.enumerated() {
            guard let name = element["field"]?.string, let field = FieldChange.Field(rawValue: name)
            else { throw error("/changes/\(index)/field", "name a field that can change") }
            changes.append(
                FieldChange(
                    field: field, before: element["before"] ?? .null,
                    after: element["after"] ?? .null))
        }
        return changes
    }
}
