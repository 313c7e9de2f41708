import Domain

/// The units last asked for, at most so many.
///
/// Two generations: look-ups move an entry to the young one; when that is full it becomes the old
/// one and the old one is dropped. Cheaper than a list of recent use, and nearly as good.
struct PlacementCache: Sendable {
    private var young: [UnitKey: Placement] = [:]
    private var old: [UnitKey: Placement] = [:]
    private let entriesPerGeneration: Int

    /// Entries of both generations.
    var count: Int { young.count + old.count }

    init(entriesMax: Int = Limits.placementCacheEntriesMax) {
        entriesPerGeneration = max(1, entriesMax / 2)
    }

    mutating func find(_ key: UnitKey) -> Placement? {
        if let found = young[key] { return found }
        guard let found = old[key] else { return nil }
        insert(key, found)
        return found
    }

    mutating func insert(_ key: UnitKey, _ placement: Placement) {
        if young.count >= entriesPerGeneration {
            old = young
            young = [:]
        }
        young[key] = placement
    }

    /// Inserts what may be older than what is known.
    mutating func insert(unlessNewer key: UnitKey, _ placement: Placement) {
        if let known = young[key] ?? old[key], known.version >= placement.version { return }
        insert(key, placement)
    }
}
