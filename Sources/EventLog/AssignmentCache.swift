import Domain

/// The assignments last asked for, at most so many.
///
/// Two generations: look-ups move an entry to the young one; when that is full it becomes the old
/// one and the old one is dropped. Cheaper than a list of recent use, and nearly as good.
struct AssignmentCache: Sendable {
    private var young: [AssignmentKey: Assignment] = [:]
    private var old: [AssignmentKey: Assignment] = [:]
    private let entriesPerGeneration: Int

    /// Entries of both generations.
    var count: Int { young.count + old.count }

    init(entriesMax: Int = Limits.assignmentCacheEntriesMax) {
        entriesPerGeneration = max(1, entriesMax / 2)
    }

    mutating func find(_ key: AssignmentKey) -> Assignment? {
        if let found = young[key] { return found }
        guard let found = old[key] else { return nil }
        insert(key, found)
        return found
    }

    mutating func insert(_ key: AssignmentKey, _ assignment: Assignment) {
        if young.count >= entriesPerGeneration {
            old = young
            young = [:]
        }
        young[key] = assignment
    }
}
