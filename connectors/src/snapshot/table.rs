//! Parquet files, a column at a time: written a row group at a time into memory, and read so.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::TypePtr;

use super::columns::{Cells, Column};
use super::warm_image::{self, Words};

/// Bytes of a dictionary: room for the ids of a million tracks. It makes an id of 8 bytes in entries one of 20
/// bits or less.
const DICTIONARY_BYTES: usize = 16 << 20;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 22;
/// Bytes of cells that have text, of a row group, about.
const GROUP_TEXT_BYTES: usize = 32 << 20;

/// One cell.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    /// An id.
    Id(u64),
    /// A number.
    Number(Option<u32>),
    /// A flag.
    Flag(bool),
    /// A text.
    Text(Option<&'a str>),
}

/// A file while it is written.
pub struct FileWriter {
    file: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
    /// In the row group, and in all before it.
    rows: (usize, u64),
    text_bytes: usize,
    /// All columns of one row group after the other, if an image of them is wanted.
    image: Option<Words>,
}

impl FileWriter {
    /// With this schema, whose columns are as `columns` (empty), perhaps with an image.
    pub fn new(schema: TypePtr, columns: Vec<Column>, image: bool) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_created_by(concat!("segue ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = SerializedFileWriter::new(Vec::new(), schema, WriterPropertiesPtr::new(properties))?;
        Ok(FileWriter { file, columns, rows: (0, 0), text_bytes: 0, image: image.then(Words::new) })
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, row: [Cell<'_>; N]) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            match (column, cell) {
                (Column::Ids(ids), Cell::Id(id)) => ids.push(id as i64),
                (Column::Numbers(numbers), Cell::Number(number)) => numbers.push(number.map(|n| n as i32)),
                (Column::Flags(flags), Cell::Flag(flag)) => flags.push(flag),
                (Column::Texts(texts), Cell::Text(text)) => {
                    self.text_bytes += text.map_or(0, str::len);
                    texts.push(text.map(ByteArray::from));
                }
                _ => return Err(ParquetError::General("a cell in a column of another type".into())),
            }
        }
        self.rows.0 += 1;
        if self.rows.0 >= GROUP_ROWS || self.text_bytes >= GROUP_TEXT_BYTES { self.flush() } else { Ok(()) }
    }

    /// Bytes of the row groups that are finished.
    pub fn bytes(&self) -> usize {
        self.file.bytes_written()
    }

    fn flush(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        let mut columns = self.columns.iter_mut();
        while let (Some(writer), Some(column)) = (group.next_column()?, columns.next()) {
            self.image.iter_mut().for_each(|image| image.push(column.words()));
            match column {
                Column::Ids(ids) => write::<Int64Type>(writer, ids, None)?,
                Column::Numbers(cells) => {
                    write::<Int32Type>(writer, &mut cells.values, Some(&mut cells.there))?;
                }
                Column::Flags(flags) => write::<BoolType>(writer, flags, None)?,
                Column::Texts(cells) => {
                    write::<ByteArrayType>(writer, &mut cells.values, Some(&mut cells.there))?;
                }
            }
        }
        group.close()?;
        self.rows = (0, self.rows.1 + self.rows.0 as u64);
        self.text_bytes = 0;
        Ok(())
    }

    /// The file, its number of rows, and its image.
    pub fn finish(mut self) -> Result<(Bytes, u64, Option<Bytes>)> {
        if self.rows.0 > 0 {
            self.flush()?;
        }
        let image = self.image.map(|image| warm_image::encode(&image).into());
        Ok((self.file.into_inner()?.into(), self.rows.1, image))
    }
}

fn write<T: DataType>(
    mut writer: SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
    there: Option<&mut Vec<i16>>,
) -> Result<()> {
    writer.typed::<T>().write_batch(values, there.as_ref().map(|there| &there[..]), None)?;
    values.clear();
    there.into_iter().for_each(Vec::clear);
    writer.close()
}

/// A file that is read, one row after the other.
pub struct FileRows {
    groups: Groups,
    columns: Vec<Cursor>,
    /// Left in this row group.
    rows: usize,
}

/// The row groups that are left.
enum Groups {
    /// Of a file, from one on.
    File(SerializedFileReader<Bytes>, usize),
    /// Of an image, the next one last.
    Image(Vec<Vec<Column>>),
}

/// A column of a row group, and where in it.
struct Cursor {
    column: Column,
    /// Row, and value.
    at: (usize, usize),
}

impl FileRows {
    /// Of a file that must have this schema.
    pub fn new(file: Bytes, schema: &TypePtr) -> Result<Self> {
        let file = SerializedFileReader::new(file)?;
        if file.metadata().file_metadata().schema() != &**schema {
            return Err(ParquetError::General("it has another schema".into()));
        }
        Ok(FileRows { groups: Groups::File(file, 0), columns: Vec::new(), rows: 0 })
    }

    /// Of the image of a file that has such columns; none if it is no such image.
    pub fn of_image(image: &[u8], kinds: &[Column]) -> Option<Self> {
        let group = |words: &[Vec<u64>]| {
            let columns = kinds.iter().zip(words).map(|(kind, words)| kind.of_words(words));
            columns.collect::<Option<Vec<Column>>>().filter(|columns| columns.len() == kinds.len())
        };
        let groups = warm_image::decode(image, |words| {
            words.chunks(kinds.len()).rev().map(group).collect::<Option<Vec<_>>>()
        });
        Some(FileRows { groups: Groups::Image(groups??), columns: Vec::new(), rows: 0 })
    }

    /// Goes to the next row; false at the end. Each column is to be taken once a row, with the function of its
    /// type.
    pub fn next(&mut self) -> Result<bool> {
        while self.rows == 0 {
            let columns: Result<Vec<Column>> = match &mut self.groups {
                Groups::File(file, group) if *group < file.num_row_groups() => {
                    let read = file.get_row_group(*group)?;
                    self.rows = read.metadata().num_rows() as usize;
                    *group += 1;
                    (0..read.num_columns()).map(|column| read_column(&*read, column, self.rows)).collect()
                }
                Groups::File(..) => return Ok(false),
                Groups::Image(groups) => match groups.pop() {
                    Some(columns) => {
                        self.rows = columns.first().map_or(0, Column::rows);
                        Ok(columns)
                    }
                    None => return Ok(false),
                },
            };
            self.columns = columns?.into_iter().map(|column| Cursor { column, at: (0, 0) }).collect();
        }
        self.rows -= 1;
        Ok(true)
    }

    /// The cell of an id.
    pub fn id(&mut self, column: usize) -> Result<u64> {
        match &mut self.columns[column] {
            Cursor { column: Column::Ids(ids), at } => {
                at.0 += 1;
                ids.get(at.0 - 1).map(|id| *id as u64).ok_or_else(short)
            }
            _ => Err(short()),
        }
    }

    /// The cell of a flag.
    pub fn flag(&mut self, column: usize) -> Result<bool> {
        match &mut self.columns[column] {
            Cursor { column: Column::Flags(flags), at } => {
                at.0 += 1;
                flags.get(at.0 - 1).copied().ok_or_else(short)
            }
            _ => Err(short()),
        }
    }

    /// The cell of a number.
    pub fn number(&mut self, column: usize) -> Result<Option<u32>> {
        match &mut self.columns[column] {
            Cursor { column: Column::Numbers(cells), at } => Ok(cells.next(at)?.map(|number| *number as u32)),
            _ => Err(short()),
        }
    }

    /// The cell of a text.
    pub fn text(&mut self, column: usize) -> Result<Option<&str>> {
        match &mut self.columns[column] {
            Cursor { column: Column::Texts(cells), at } => {
                cells.next(at)?.map(ByteArray::as_utf8).transpose()
            }
            _ => Err(short()),
        }
    }
}

impl<T> Cells<T> {
    fn next(&self, at: &mut (usize, usize)) -> Result<Option<&T>> {
        let there = *self.there.get(at.0).ok_or_else(short)? > 0;
        at.0 += 1;
        if !there {
            return Ok(None);
        }
        at.1 += 1;
        self.values.get(at.1 - 1).map(Some).ok_or_else(short)
    }
}

fn short() -> ParquetError {
    ParquetError::General("a column is shorter than its row group, or of another type".into())
}

fn read_column(group: &dyn RowGroupReader, column: usize, rows: usize) -> Result<Column> {
    use parquet::basic::Type::{BOOLEAN, BYTE_ARRAY, INT32, INT64};
    let kind = group.metadata().column(column).column_type();
    Ok(match kind {
        INT64 => Column::Ids(read::<Int64Type>(group, column, rows)?.values),
        INT32 => Column::Numbers(read::<Int32Type>(group, column, rows)?),
        BOOLEAN => Column::Flags(read::<BoolType>(group, column, rows)?.values),
        BYTE_ARRAY => Column::Texts(read::<ByteArrayType>(group, column, rows)?),
        other => return Err(ParquetError::General(format!("a column of type {other}"))),
    })
}

fn read<T: DataType>(group: &dyn RowGroupReader, column: usize, rows: usize) -> Result<Cells<T::T>> {
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let mut cells = Cells { values: Vec::with_capacity(rows), there: Vec::new() };
    let mut read = 0;
    while read < rows {
        let (more, ..) = reader.read_records(rows - read, Some(&mut cells.there), None, &mut cells.values)?;
        if more == 0 {
            return Err(short());
        }
        read += more;
    }
    Ok(cells)
}

/// A schema, from Parquet's own notation.
pub fn schema(text: &str) -> Result<TypePtr> {
    parquet::schema::parser::parse_message_type(text).map(Arc::new)
}
