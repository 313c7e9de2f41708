/// The bounds of what a document holds, checked whichever way it came in.
///
/// ``DocumentReader`` refuses most of this while it reads; steps and appended events have no reader.
extension ExperimentDocument {
    func limitProblems() -> [Problem] {
        var problems = Domain.limitProblems("/metadata/name", name, max: Limits.nameBytesMax)
        problems += Domain.limitProblems(
            "/metadata/description", description, max: Limits.textBytesMax)
        problems += Domain.limitProblems("/spec/hypothesis", hypothesis, max: Limits.textBytesMax)
        for link in links where !link.isWithinLimits {
            problems.append(
                Problem(
                    "/spec/links",
                    "Names and targets of links are at most \(Limits.linkBytesMax) bytes without "
                        + "U+0000."))
        }
        problems += countProblems("/spec/links", links.count, max: Limits.linksMax)
        problems += countProblems("/spec/variants", variants.count, max: Limits.variantsMax)
        problems += countProblems("/spec/cohorts", cohorts.count, max: Limits.cohortsMax)
        for (index, variant) in variants.enumerated() {
            let place = "/spec/variants/\(index)"
            problems += Domain.limitProblems(
                "\(place)/name", variant.name, max: Limits.nameBytesMax)
            problems += Domain.limitProblems(
                "\(place)/description", variant.description, max: Limits.textBytesMax)
        }
        return problems
    }

    private func countProblems(_ pointer: String, _ count: Int, max: Int) -> [Problem] {
        count > max ? [Problem(pointer, "At most \(max) entries are allowed.")] : []
    }
}

extension GroupDocument {
    func limitProblems() -> [Problem] {
        Domain.limitProblems("/metadata/name", name, max: Limits.nameBytesMax)
            + Domain.limitProblems("/metadata/description", description, max: Limits.textBytesMax)
    }
}

extension Link {
    fileprivate var isWithinLimits: Bool {
        [name, target].allSatisfy { text in
            text.utf8.count <= Limits.linkBytesMax && !text.utf8.contains(0)
        }
    }
}

/// What is wrong with a text's length and characters.
func limitProblems(_ pointer: String, _ text: String?, max: Int) -> [Problem] {
    guard let text else { return [] }
    let name = pointer.split(separator: "/").last ?? "text"
    var problems: [Problem] = []
    if text.utf8.count > max {
        problems.append(Problem(pointer, "\(name) is longer than \(max) bytes."))
    }
    if text.utf8.contains(0) {
        problems.append(Problem(pointer, "\(name) contains the character U+0000."))
    }
    return problems
}
