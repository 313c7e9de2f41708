/// Resources in a table, one to a row.
struct ResourceTable {
    private let showsLab: Bool
    private var table: Table

    init(showsLab: Bool) {
        self.showsLab = showsLab
        table = Table(
            showsLab
                ? ["id", "status", "name", "lab", "variants", "cohorts", "updated"]
                : ["id", "status", "name", "updated"])
    }

    mutating func print(_ resources: [Resource]) {
        table.print(resources.map(row))
    }

    private func row(_ resource: Resource) -> [Table.Cell] {
        let metadata = resource.metadata
        var row = [
            Table.Cell(metadata.id), Table.Cell(status: metadata.status),
            Table.Cell(metadata.name ?? ""),
        ]
        if showsLab {
            row += [
                Table.Cell(metadata.parentId ?? ""),
                Table.Cell("\(resource.spec?.variants?.count ?? 0)"),
                Table.Cell("\(resource.spec?.cohorts?.count ?? 0)"),
            ]
        }
        return row + [Table.Cell(metadata.updatedAt ?? "")]
    }
}

/// One resource with all its fields, variants and cohorts.
struct ResourceView {
    private let resource: Resource
    private let isColourful: Bool

    init(_ resource: Resource, isColourful: Bool = Terminal.isColourful) {
        self.resource = resource
        self.isColourful = isColourful
    }

    func print() {
        Swift.print(text, terminator: "")
    }

    var text: String {
        let metadata = resource.metadata
        let status = Table.Cell(status: metadata.status, isColourful: isColourful)
        let title = "\(resource.kind)/\(metadata.id)"
        var text = isColourful ? Style.bold.apply(to: title) : title
        text += "  " + (isColourful ? status.style.apply(to: status.text) : status.text) + "\n"
        for (name, value) in fields {
            let label = name + ":" + String(repeating: " ", count: max(0, 14 - name.count))
            text += "  " + (isColourful ? Style.dim.apply(to: label) : label)
            text += Display.oneLine(value) + "\n"
        }
        return text + variants + cohorts
    }

    private var fields: [(String, String)] {
        let metadata = resource.metadata
        let spec = resource.spec
        let links = (spec?.links ?? [:]).sorted { $0.key < $1.key }
            .map { ("link \($0.key)", Optional($0.value)) }
        let fields: [(String, String?)] =
            [
                ("name", metadata.name), ("description", metadata.description),
                ("lab", metadata.parentId), ("subject type", spec?.subjectType),
                ("subjects", spec?.sealed == true ? "sealed" : nil),
                ("hypothesis", spec?.hypothesis), ("winner", spec?.winningVariant),
                ("ended because", spec?.endedReason),
            ] + links + [
                ("version", metadata.resourceVersion.map(String.init)),
                ("created", metadata.createdAt), ("updated", metadata.updatedAt),
            ]
        return fields.compactMap { name, value in
            value.flatMap { $0.isEmpty ? nil : (name, $0) }
        }
    }

    private var variants: String {
        guard let variants = resource.spec?.variants, !variants.isEmpty else { return "" }
        var table = Table(["variant", "", "name", "description"], isColourful: isColourful)
        let winner = resource.spec?.winningVariant
        return "\n"
            + table.text(
                variants.map { variant in
                    let role = variant.isControl == true ? "control" : ""
                    let isWinner = variant.id == winner
                    return [
                        Table.Cell(variant.id, style: isWinner ? .yellow : .plain),
                        Table.Cell(isWinner ? "winner" : role, style: isWinner ? .yellow : .dim),
                        Table.Cell(variant.name ?? ""), Table.Cell(variant.description ?? ""),
                    ]
                })
    }

    /// The splits of each cohort in a row, with a column for each variant that has a part.
    private var cohorts: String {
        guard let cohorts = resource.spec?.cohorts, !cohorts.isEmpty else { return "" }
        var names: [String] = []
        for part in cohorts.flatMap(\.variants) where !names.contains(part.variant) {
            names.append(part.variant)
        }
        var table = Table(["cohort", "created"] + names, isColourful: isColourful)
        return "\n"
            + table.text(
                cohorts.map { cohort in
                    [Table.Cell("\(cohort.index)"), Table.Cell(cohort.createdAt ?? "")]
                        + names.map { name in
                            let part = cohort.variants.first { $0.variant == name }
                            return Table.Cell(part.map { Self.percent($0.split) } ?? "-")
                        }
                })
    }

    /// A split in per cent, with as many decimals as it has.
    static func percent(_ split: Double) -> String {
        let value = (split * 1_000_000).rounded() / 10_000
        return value == value.rounded() ? "\(Int(value))%" : "\(value)%"
    }
}
