import Domain
import EventLog
import JSON
import Postgres

/// The fold that all projections come from, event by event in the order of the log.
///
/// It gathers what the events since ``clear()`` change: rows of units and scores, ready for a COPY,
/// how many more units each arm has, which scores units have got and lost, and which resources are
/// to be written anew. The same fold serves the projector and a rebuild. A value: a copy taken before a transaction is what to go back to
/// when the transaction fails.
struct ProjectionFold: Sendable {
    /// The last event folded.
    private(set) var position: Int64
    /// The last event whose rows were written.
    private(set) var start: Int64
    private(set) var state: State
    /// Rows of ``ProjectionSchema/assignmentColumns``.
    private(set) var assignments = CopyRows()
    private(set) var counts = ArmCounts()
    /// Rows of ``ProjectionSchema/selectionColumns``.
    private(set) var selections = CopyRows()
    private(set) var selectionCounts = SelectionCounts()
    /// Rows of ``ProjectionSchema/scoreColumns``.
    private(set) var scores = CopyRows()
    private(set) var scoreChanges = ScoreChanges()
    private(set) var rollouts: [RolloutKey: RolloutRow] = [:]
    private(set) var definitions: [StepDefinitionRow] = []
    private(set) var changed: Set<Resource>
    private(set) var changedSteps: Set<StepKey> = []
    /// Whether what scores come to is worked out once all are in the table, as a rebuild does.
    private(set) var isLoading = false

    struct Resource: Sendable, Hashable {
        let kind: ResourceKind
        let id: ResourceID
    }

    /// The fold of nothing: what always exists has still to be written.
    init(isLoading: Bool = false) {
        self.isLoading = isLoading
        position = 0
        start = 0
        state = State()
        changed = Set(
            state.labs.keys.map { Resource(kind: .lab, id: $0) }
                + state.subjectTypes.keys.map { Resource(kind: .subjectType, id: $0) })
    }

    /// Goes on from a position whose rows are written.
    init(state: State, position: Int64) {
        self.position = position
        start = position
        self.state = state
        changed = []
    }

    /// Folds the events after ``position`` up to another, as the connection reads them.
    ///
    /// `each` is called after each event; throwing, it ends the reading.
    mutating func read(
        through end: Int64, _ connection: Connection,
        each: (inout ProjectionFold) throws -> Void = { _ in }
    ) throws {
        if end <= position { return }
        try LogScan.read(
            "position, recorded_at, id, type, version, data", after: position, through: end,
            connection
        ) { position, fields in
            try fold(position, &fields)
            try each(&self)
        }
    }

    private mutating func fold(_ position: Int64, _ fields: inout CopyFields) throws {
        let recordedAt = fields.timestamp()
        let id = fields.bytes()
        let type = fields.bytes()
        let version = fields.int64()
        let data = fields.bytes()
        do {
            if type.elementsEqual(Self.assignmentMade) {
                try AssignmentFields.read(data) { assignment in
                    add(assignment, position, id, recordedAt)
                }
            } else if type.elementsEqual(Self.scoreRecorded) {
                add(try ScoreFields(data), position, version, id, recordedAt)
            } else if type.elementsEqual(Self.variantSelected) {
                add(try SelectionFields(data), position, id, recordedAt)
            } else if type.elementsEqual(Self.scoreRetracted) {
                scoreChanges.retract(
                    try ScoreFields(data), position, version, isLoading: isLoading)
            } else {
                let event = try LedgerEvent(
                    type: String(decoding: type, as: UTF8.self),
                    data: try JSONValue.parse(Array(data)))
                evolve(
                    event,
                    EventContext(
                        position: position, recordedAt: Timestamp(microseconds: recordedAt)))
            }
        } catch {
            throw UnreadableEventError(
                position: position, type: String(decoding: type, as: UTF8.self), cause: error)
        }
        self.position = position
    }

    private static let assignmentMade = Array("AssignmentMade".utf8)
    private static let variantSelected = Array("VariantSelected".utf8)
    private static let scoreRecorded = Array("ScoreRecorded".utf8)
    private static let scoreRetracted = Array("ScoreRetracted".utf8)

    private mutating func add(
        _ fields: AssignmentFields, _ position: Int64, _ id: UnsafeRawBufferPointer,
        _ recordedAt: Int64
    ) {
        assignments.beginRow(columns: 7)
        assignments.int64(position)
        assignments.timestamp(recordedAt)
        assignments.bytes(id)
        assignments.int32(fields.cohort)
        assignments.bytes(fields.experiment)
        assignments.bytes(fields.subject)
        assignments.bytes(fields.variant)
        counts.count(fields, at: recordedAt)
    }

    private mutating func add(
        _ fields: SelectionFields, _ position: Int64, _ id: UnsafeRawBufferPointer,
        _ recordedAt: Int64
    ) {
        selections.beginRow(columns: 9)
        selections.int64(position)
        selections.timestamp(recordedAt)
        selections.bytes(id)
        selections.int32(fields.definition)
        selections.bool(fields.isNullishBucket)
        selections.text(fields.function)
        selections.text(fields.experiment)
        selections.text(fields.run)
        selections.text(fields.variant)
        selectionCounts.count(fields, at: recordedAt)
    }

    private mutating func add(
        _ fields: ScoreFields, _ position: Int64, _ version: Int64, _ id: UnsafeRawBufferPointer,
        _ recordedAt: Int64
    ) {
        scores.beginRow(columns: 13)
        scores.int64(position)
        scores.timestamp(recordedAt)
        scores.timestamp(fields.occurredAt)
        scores.bytes(id)
        scores.double(fields.value)
        scores.bool(fields.isBoolean)
        if let cohort = fields.cohort { scores.int32(cohort) } else { scores.null() }
        scores.text(fields.function)
        scores.text(fields.experiment)
        scores.text(fields.name)
        scores.text(fields.unit)
        scores.text(orNull: fields.variant)
        scores.null()
        if !isLoading { scoreChanges.record(fields, position, version) }
    }

    private mutating func evolve(_ event: LedgerEvent, _ context: EventContext) {
        switch event {
        case .groupCreated(let kind, let group):
            changed.insert(Resource(kind: kind, id: group.id))
        case .groupUpdated(let kind, let id, _, _): changed.insert(Resource(kind: kind, id: id))
        case .experiment(let id, _, _): changed.insert(Resource(kind: .experiment, id: id))
        case .stepCreated(let step, let definition):
            changedSteps.insert(step)
            definitions.append(
                StepDefinitionRow(
                    step: step, number: 1, definition: definition, at: context.recordedAt))
        case .definitionChanged(let changed):
            changedSteps.insert(changed.step)
            definitions.append(
                StepDefinitionRow(
                    step: changed.step, number: changed.number, definition: changed.after,
                    at: context.recordedAt))
        case .rolloutChanged(let changed):
            rollouts[RolloutKey(changed.step, changed.key)] = RolloutRow(
                variant: changed.variant, context)
        case .assignmentMade, .variantSelected, .scoreRecorded, .scoreRetracted, .subjectErased,
            .keyCreated, .keyRevoked, .webhook:
            break
        }
        state.evolve(event, at: context)
    }

    /// Hands over the rows of units and scores gathered so far, by their tables.
    mutating func takeRows() -> [(table: String, rows: CopyRows)] {
        var taken: [(table: String, rows: CopyRows)] = []
        func take(_ table: String, _ rows: inout CopyRows) {
            guard rows.count > 0 else { return }
            taken.append((table, rows))
            rows = CopyRows(capacity: rows.byteCount + 4_096)
        }
        take("assignments", &assignments)
        take("selections", &selections)
        take("scores", &scores)
        return taken
    }

    /// Bytes of the rows gathered so far.
    var rowBytes: Int { assignments.byteCount + selections.byteCount + scores.byteCount }

    /// Forgets what is written; what scores come to is kept up to date from now on.
    mutating func clear() {
        self = ProjectionFold(state: state, position: position)
    }
}

/// An event that this program can't read: it was changed in the database, or a newer program wrote
/// it.
package struct UnreadableEventError: Error, CustomStringConvertible {
    package let position: Int64
    package let type: String
    package let cause: any Error

    package var description: String {
        let reason =
            (cause as? EventDecodingError).map { "\($0.pointer): \($0.reason)" } ?? "\(cause)"
        return "event \(position), \(type), can't be read: \(reason)"
    }
}

/// What a rollout table says of a key.
struct RolloutRow: Sendable {
    /// Nil where the key was taken out.
    let variant: String?
    let position: Int64
    let updatedAt: Timestamp

    init(variant: String?, _ context: EventContext) {
        self.variant = variant
        position = context.position
        updatedAt = context.recordedAt
    }
}

/// A definition that came into force, for the first time or again.
struct StepDefinitionRow: Sendable {
    let step: StepKey
    let number: Int
    let definition: StepDefinition
    let at: Timestamp
}
