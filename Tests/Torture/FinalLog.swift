import EventLog
import JSON

/// The log as it stood when all was over, read for what the checker compares.
struct FinalLog {
    /// A line as far as it matters.
    struct Entry {
        var position: Int64
        var stream: String
        var version: Int64
        var type: String
        var recordedAt: String
        /// What it does, by whichever name it may have been asked for.
        var effects: [Effect]
        var variant: String?
        var leaf: Digest
    }

    private(set) var entries: [Entry] = []
    private(set) var facts: [Effect: Fact] = [:]
    private(set) var tree = MerkleFrontier()
    private(set) var findings: [Finding] = []

    init(_ lines: [[UInt8]]) {
        for (index, line) in lines.enumerated() {
            guard let entry = Entry(line) else {
                findings.append(Finding(.malformed, "line \(index + 1) is no event"))
                continue
            }
            tree.append(entry.leaf)
            entries.append(entry)
            for effect in entry.effects {
                let fact = Fact(position: entry.position, variant: entry.variant)
                if let first = facts[effect] {
                    findings.append(Finding(.repeated, "\(effect): \(first), and again \(fact)"))
                } else {
                    facts[effect] = fact
                }
            }
        }
    }

    /// The hash of the line at a position.
    func leaf(at position: Int64) -> Digest? {
        entries.indices.contains(Int(position) - 1) ? entries[Int(position) - 1].leaf : nil
    }
}

extension FinalLog.Entry {
    /// Read with nothing but a JSON parser, so that the ledger's own reading is not trusted.
    fileprivate init?(_ line: [UInt8]) {
        guard let json = try? JSONValue.parse(line), let position = json["position"]?.integer,
            let id = json["id"]?.string, let stream = json["stream"]?.string,
            let version = json["version"]?.integer, let type = json["type"]?.string,
            let recordedAt = json["recordedAt"]?.string, let data = json["data"]
        else { return nil }
        self.position = position
        self.stream = stream
        self.version = version
        self.type = type
        self.recordedAt = recordedAt
        leaf = MerkleFrontier.leaf(line)
        effects = [.event(id)]
        switch type {
        case "AssignmentMade":
            effects = data["subject"]?.string.map { [.assigned($0)] } ?? []
            variant = data["variant"]?.string
        case "VariantSelected":
            effects = data["run"]?.string.map { [.selected($0)] } ?? []
            variant = data["variant"]?.string
        case "ScoreRecorded":
            if let value = data["value"]?.integer { effects.append(.scored(value)) }
        default: break
        }
    }
}
