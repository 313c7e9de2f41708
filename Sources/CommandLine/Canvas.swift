/// How much room there is, and what can be drawn.
struct Canvas {
    /// Nil where lines may have any length.
    var columns: Int?
    var isColourful: Bool
    /// Whether bars are drawn with characters beyond ASCII.
    var hasBlocks: Bool

    static var standardOutput: Canvas {
        Canvas(
            columns: Terminal.outputColumns, isColourful: Terminal.isColourful,
            hasBlocks: Terminal.isColourful && Terminal.isUTF8)
    }

    func styled(_ text: String, _ style: Style) -> String {
        isColourful ? style.apply(to: text) : text
    }

    /// A text in lines that fit, those after the first with a hanging indent.
    func paragraph(_ text: String, style: Style = .plain, indent: Int = 2) -> String {
        Display.wrapped(Display.oneLine(text), columns: columns ?? .max, indent: indent)
            .map { styled($0, style) + "\n" }.joined()
    }

    /// Rows under a header; where they don't fit beside each other, each field on its own line.
    func table(_ columns: [String], _ rows: [[Table.Cell]]) -> String {
        if Self.width(columns, rows) <= self.columns ?? .max {
            var table = Table(columns, isColourful: isColourful)
            return table.text(rows)
        }
        let labels = columns.map { Display.width($0) }.max() ?? 0
        return rows.map { row in
            zip(columns, row).filter { !$0.1.text.isEmpty }.enumerated().map { index, field in
                let (column, cell) = field
                let gap = String(repeating: " ", count: labels - Display.width(column) + 2)
                return (index == 0 ? "" : "  ") + styled(column + gap, .dim)
                    + styled(cell.text, cell.style) + "\n"
            }.joined()
        }.joined()
    }

    /// The columns that a table takes.
    static func width(_ columns: [String], _ rows: [[Table.Cell]]) -> Int {
        var plain = Table(columns, isColourful: false)
        let lines = plain.text(rows).split(separator: "\n")
        return lines.map { Display.width(String($0)) }.max() ?? 0
    }

    /// A bar whose full width stands for 1.
    func bar(_ share: Double, width: Int) -> String {
        let share = min(1, max(0, share))
        guard hasBlocks else {
            return String(repeating: "#", count: Int((share * Double(width)).rounded()))
        }
        let eighths = Int((share * Double(width * 8)).rounded())
        let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
        return String(repeating: "█", count: eighths / 8) + rest
    }
}
