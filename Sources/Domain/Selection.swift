import Crypto

/// Why an answer is what it is.
package enum AssignmentReason: String, Sendable {
    case new = "NEW"
    case existing = "EXISTING"
    case winner = "WINNER"
    /// Asked to read only, and the subject has no variant.
    case notAssigned = "NOT_ASSIGNED"
    case notActive = "NOT_ACTIVE"
    case ended = "ENDED"
    case archived = "ARCHIVED"
    /// One of several experiments asked about does not exist.
    case notFound = "NOT_FOUND"
}

/// The number in [0, 1] that decides a subject's variant in a cohort.
///
/// The first 8 bytes, big-endian, of SHA-256 of `EXPERIMENT-ID/cohort index/subject`, over 2^64.
package func drawNumber(experiment: ResourceID, cohort: Int, subject: String) -> Double {
    var text = experiment.text
    text += "/"
    text += String(cohort)
    text += "/"
    text += subject
    let digest = text.withUTF8 { bytes in
        var hash = SHA256()
        hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        return hash.finalize()
    }
    let bits = digest.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
    return Double(bits) * 0x1p-64
}

extension Cohort {
    /// The first variant whose cumulative split, over the true sum, exceeds `u`.
    ///
    /// Where rounding leaves `u` beyond the last sum, the last variant with a split takes it.
    package func variant(at u: Double) -> ResourceID {
        let total = splits.reduce(0) { $0 + $1.split }
        var cumulative = 0.0
        var last = splits[0].variant
        for split in splits where split.split > 0 {
            cumulative += split.split / total
            last = split.variant
            if u < cumulative { break }
        }
        return last
    }
}
