"""Files from strangers reach no host, run no code and wait for nobody."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import numpy as np
import pytest

from rs_superres.errors import RasterError, SuperResError
from rs_superres.grid import Window
from rs_superres.raster import check_whole, inspect, open_source, read_grid, read_small, read_tags
from rs_superres.raster.gdal import NETWORK, names_host
from rs_superres.types import Values
from tests import rasters
from tests.rasters import textured


class Host:
    """A host that counts who connects, and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self._socket.setblocking(False)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.address}"

    def visits(self) -> int:
        """Return how many have connected since the last call."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host, which is also where GDAL looks for the stores of S3, Google, Azure and others."""
    host = Host()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY", NETWORK):
        monkeypatch.delenv(name, raising=False)
    account = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=bXlr"
    for name, value in {
        "AWS_S3_ENDPOINT": host.address,
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "NO",
        "AWS_NO_SIGN_REQUEST": "YES",
        "CPL_GS_ENDPOINT": f"{host.url}/",
        "GS_NO_SIGN_REQUEST": "YES",
        "AZURE_STORAGE_CONNECTION_STRING": f"{account};BlobEndpoint={host.url}/a",
        "OSS_ENDPOINT": host.address,
        "OSS_HTTPS": "NO",
        "OSS_ACCESS_KEY_ID": "k",
        "OSS_SECRET_ACCESS_KEY": "k",
        "SWIFT_STORAGE_URL": host.url,
        "SWIFT_AUTH_TOKEN": "k",
        "GDAL_HTTP_TIMEOUT": "2",
    }.items():
        monkeypatch.setenv(name, value)
    yield host
    host.close()


def virtual(path: Path, *sources: str, known: bool = False) -> Path:
    """Write a VRT of 20 x 20 pixels with a band from each source.

    Args:
        path: The file.
        sources: Names that GDAL opens.
        known: Whether the VRT holds the sources' sizes, so that GDAL opens them when it reads.
    """
    size = '<SourceProperties RasterXSize="20" RasterYSize="20" DataType="Byte"/>' if known else ""
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="{int(not source.startswith("/"))}">{escape(source)}'
        f"</SourceFilename><SourceBand>1</SourceBand>{size}"
        '<SrcRect xOff="0" yOff="0" xSize="20" ySize="20"/>'
        '<DstRect xOff="0" yOff="0" xSize="20" ySize="20"/></SimpleSource></VRTRasterBand>'
        for number, source in enumerate(sources, start=1)
    )
    path.write_text(f'<VRTDataset rasterXSize="20" rasterYSize="20">{bands}</VRTDataset>')
    return path


def pixels(path: Path | str) -> Values:
    """Read a corner of a raster."""
    with open_source(str(path)) as source:
        return source.read(Window(0, 0, 8, 8))[0]


def refusal(path: Path | str) -> str:
    """Return the message, on one line, with which a raster is refused."""
    with pytest.raises(SuperResError) as caught:
        pixels(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


WMS = (
    '<GDAL_WMS><Service name="TMS"><ServerUrl>HOST/${z}/${x}/${y}.png</ServerUrl></Service>'
    "<DataWindow><UpperLeftX>-180</UpperLeftX><UpperLeftY>90</UpperLeftY><LowerRightX>180"
    "</LowerRightX><LowerRightY>-90</LowerRightY><SizeX>20</SizeX><SizeY>20</SizeY></DataWindow>"
    "<BandsCount>1</BandsCount></GDAL_WMS>"
)
SOURCES = [
    "/vsicurl/HOST/a.tif",
    "HOST/a.tif",
    "/vsicurl_streaming/HOST/a.tif",
    "/vsicurl?url=HOST/a.tif",
    "/vsizip//vsicurl/HOST/a.zip/a.tif",
    "/vsitar//vsicurl/HOST/a.tar/a.tif",
    "/vsigzip//vsicurl/HOST/a.gz",
    "/vsisparse//vsicurl/HOST/a.xml",
    "/vsis3/bucket/a.tif",
    "/vsis3_streaming/bucket/a.tif",
    "/vsigs/bucket/a.tif",
    "/vsiaz/bucket/a.tif",
    "/vsiadls/bucket/a.tif",
    "/vsioss/bucket/a.tif",
    "/vsiswift/bucket/a.tif",
    "/vsiwebhdfs/HOST/a",
    "vrt://HOST/a.tif",
    "WMTS:HOST/c.xml",
    "WMS:HOST/?LAYERS=a",
    "WCS:HOST/wcs",
    'ZARR:"/vsicurl/HOST/a.zarr"',
    "DERIVED_SUBDATASET:AMPLITUDE:HOST/a.tif",
    "ftp://ADDRESS/a.tif",
    WMS,
]
DOCUMENTS = {
    "wms.tif": WMS,
    "wmts.xml": "<GDAL_WMTS><GetCapabilitiesUrl>HOST/c.xml</GetCapabilitiesUrl></GDAL_WMTS>",
    "wcs.xml": "<WCS_GDAL><ServiceURL>HOST/wcs?</ServiceURL><CoverageName>a</CoverageName>"
    "</WCS_GDAL>",
    "a.kml": '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Region><LatLonAltBox><north>1'
    "</north><south>0</south><east>1</east><west>0</west></LatLonAltBox></Region><GroundOverlay>"
    "<Icon><href>HOST/a.png</href></Icon><LatLonBox><north>1</north><south>0</south><east>1</east>"
    "<west>0</west></LatLonBox></GroundOverlay></Document></kml>",
    "a.mrf": "<MRF_META><CachedSource><Source>/vsicurl/HOST/a.tif</Source></CachedSource><Raster>"
    '<Size x="20" y="20" c="1"/><PageSize x="20" y="20" c="1"/></Raster></MRF_META>',
    "srs.vrt": '<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>HOST/wkt</SRS>'
    '<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>',
}


def with_host(text: str, host: Host) -> str:
    return text.replace("HOST", host.url).replace("ADDRESS", host.address)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source[:22])
def test_a_virtual_raster_reaches_no_host(
    tmp_path: Path, host: Host, source: str, known: bool
) -> None:
    refusal(virtual(tmp_path / "a.vrt", with_host(source, host), known=known))
    assert host.visits() == 0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_reaches_no_host(tmp_path: Path, host: Host, name: str) -> None:
    (tmp_path / name).write_text(with_host(DOCUMENTS[name], host))
    try:
        pixels(tmp_path / name)
    except SuperResError as error:
        assert "\n" not in str(error)  # noqa: PT017 (srs.vrt opens)
    assert host.visits() == 0


def test_overviews_elsewhere_reach_no_host(tmp_path: Path, host: Host) -> None:
    scene = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 20))
    for name in ("/vsicurl/HOST/a.ovr", "HOST/a.ovr"):
        (tmp_path / "a.tif.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
            f"{with_host(name, host)}</MDI></Metadata></PAMDataset>"
        )
        pixels(scene)
        inspect(scene)
        read_small(scene, 5)
        check_whole(scene)
    assert host.visits() == 0


@pytest.mark.parametrize(
    "read", [inspect, read_tags, read_grid, functools.partial(read_small, side=5)]
)
def test_no_reader_reaches_a_host(
    tmp_path: Path, host: Host, read: Callable[[Path], object]
) -> None:
    """A raster whose sources are opened with it, or when pixels are read."""
    for known in (False, True):
        path = virtual(tmp_path / "a.vrt", f"{host.url}/a.tif", "/vsis3/b/a.tif", known=known)
        try:
            read(path)
        except RasterError as error:
            assert "\n" not in str(error)  # noqa: PT017 (some need no pixels)
    assert host.visits() == 0


def test_threads_reach_no_host(tmp_path: Path, host: Host) -> None:
    """GDAL's options of the main thread hold for the process, those of others for themselves."""
    path = virtual(
        tmp_path / "a.vrt", f"{host.url}/a.tif", f"/vsicurl/{host.url}/b.tif", known=True
    )
    refused: list[str] = []
    threads = [threading.Thread(target=lambda: refused.append(refusal(path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert host.visits() == 0


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_hosts_without_a_proxy_are_not_reached(
    tmp_path: Path, host: Host, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """curl would reach them past the proxy that blocks all others."""
    monkeypatch.setenv(variable, "*")
    refusal(virtual(tmp_path / "a.vrt", f"{host.url}/a.tif"))
    assert host.visits() == 0
    assert os.environ[variable] == "*"


def test_the_refusal_says_what_to_do(tmp_path: Path, host: Host) -> None:
    path = virtual(tmp_path / "a.vrt", f"{host.url}/a.tif")
    message = refusal(path)
    assert f"{path} refers to another host" in message
    assert "RS_SR_NETWORK=1" in message


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a folder with a raster, and with a VRT of that raster."""
    for name in ("http_proxy", "all_proxy", NETWORK):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "served"
    folder.mkdir()
    rasters.write(folder / "a.tif", textured(1, 1, 20, 20))
    virtual(folder / "a.vrt", "a.tif")
    # In another process: rasterio lets no other thread run while it opens a raster.
    line = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(
        line, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())
        assert port is not None
        yield f"http://127.0.0.1:{port[1]}"
        server.kill()


def test_the_environment_opens_the_network(
    tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = virtual(tmp_path / "a.vrt", f"{served}/a.tif")
    assert "another host" in refusal(path)
    monkeypatch.setenv(NETWORK, "1")
    expected = rasters.read(tmp_path / "served" / "a.tif")[:, :8, :8]
    np.testing.assert_array_equal(pixels(path), expected)


@pytest.mark.parametrize("name", ["{}/a.tif", "/vsicurl/{}/a.tif", "/vsicurl/{}/a.vrt"])
def test_a_host_that_you_name_is_reached(tmp_path: Path, served: str, name: str) -> None:
    """Even while another thread blocks the network for the entire process."""
    expected = rasters.read(tmp_path / "served" / "a.tif")[:, :8, :8]
    np.testing.assert_array_equal(pixels(name.format(served)), expected)
    answers: list[Values] = []
    scene = tmp_path / "served" / "a.tif"
    with open_source(str(scene)) as local:
        thread = threading.Thread(target=lambda: answers.append(pixels(name.format(served))))
        thread.start()
        while thread.is_alive():
            local.read(Window(0, 0, 20, 20))
        thread.join()
    np.testing.assert_array_equal(answers[0], expected)


def test_names_of_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "https://host/a.tif",
        "s3://bucket/a.tif",
        "/vsis3/bucket/a.tif",
        "/vsizip//vsicurl/https://host/a.zip/a.tif",
        "vrt://https://host/a.tif",
        "/vsiaz_streaming/a",
    ):
        assert names_host(name), name
    monkeypatch.chdir(tmp_path)
    for folder in ("vsis3", "https:/host"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "a.tif").touch()
    for name in (
        "a.tif",
        "/vsizip/a.zip/a.tif",
        "zip://a.zip!a.tif",
        "file:///a.tif",
        "NETCDF:a.nc:x",
        f"{tmp_path}/vsis3/a.tif",
        "https://host/a.tif",  # a file: Unix reads the two slashes as one
    ):
        assert not names_host(name), name


# Files of this machine


def test_a_virtual_raster_may_refer_to_files_of_this_machine(tmp_path: Path) -> None:
    """As gdalbuildvrt writes them: next to it, above it, and by their absolute path."""
    scene = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 20))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(scene, "deep/a.tif")
    (tmp_path / "below").mkdir()
    expected = rasters.read(scene)[:, :8, :8]
    for name in (str(scene), "../a.tif", f"/vsizip/{tmp_path / 'a.zip'}/deep/a.tif"):
        path = virtual(tmp_path / "below" / "a.vrt", name)
        np.testing.assert_array_equal(pixels(path), expected)


def test_standard_input_is_not_waited_for(tmp_path: Path) -> None:
    """A batch would wait for it forever."""
    path = virtual(tmp_path / "a.vrt", "/vsistdin/")
    code = (
        "import sys; from rs_superres.grid import Window; "
        "from rs_superres.raster import open_source; "
        "open_source(sys.argv[1]).read(Window(0, 0, 8, 8))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as waiting:
        try:
            assert waiting.stderr is not None
            waiting.wait(60)
            assert "RasterError" in waiting.stderr.read()
        finally:
            waiting.kill()


def test_python_in_a_virtual_raster_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if the environment allows it to other programs."""
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    scene, trace = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 20)), tmp_path / "executed"
    path = tmp_path / "a.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20">'
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">'
        "<PixelFunctionType>run</PixelFunctionType>"
        "<PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode><![CDATA[\n"
        f"def run(*args, **more):\n    open({str(trace)!r}, 'w')\n]]></PixelFunctionCode>"
        f'<SimpleSource><SourceFilename relativeToVRT="0">{scene}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    refusal(path)
    assert not trace.exists()


def test_entities_do_not_explode(tmp_path: Path) -> None:
    """The billion laughs: ten levels of ten entities each."""
    levels = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "laugh" * 10}">' for n in range(10)
    )
    path = tmp_path / "a.vrt"
    text = virtual(path, "&e9;").read_text().replace("&amp;e9;", "&e9;")
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE VRTDataset [{levels}]>{text}')
    started = time.monotonic()
    refusal(path)
    assert time.monotonic() - started < 5


def test_files_in_entities_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the secret")
    path = tmp_path / "a.vrt"
    text = virtual(path, "&e;").read_text().replace("&amp;e;", "&e;")
    path.write_text(f'<!DOCTYPE VRTDataset [<!ENTITY e SYSTEM "{tmp_path}/secret">]>{text}')
    assert "the secret" not in refusal(path)


def test_a_deep_document_ends_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.vrt"
    path.write_text("<VRTDataset rasterXSize='9' rasterYSize='9'>" + "<a>" * 200_000)
    refusal(path)


def test_members_that_leave_their_archive_stay_inside(tmp_path: Path) -> None:
    """GDAL reads members and extracts none."""
    scene = rasters.write(tmp_path / "a.tif", textured(1, 1, 20, 20))
    folder = tmp_path / "inside"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(scene, "../../escaped.tif")
        archive.write(scene, str(tmp_path / "absolute.tif"))
    before = sorted(tmp_path.rglob("*"))
    for name in ("../../escaped.tif", "absolute.tif", "../../a.tif"):
        try:
            pixels(f"/vsizip/{folder / 'a.zip'}/{name}")
        except SuperResError as error:
            assert "\n" not in str(error)  # noqa: PT017 (a member may open)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_catalogue_reaches_no_host(tmp_path: Path, host: Host) -> None:
    item = {
        "type": "FeatureCollection",
        "stac_version": "1.0.0",
        "features": [
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": "a",
                "collection": "c",
                "properties": {
                    "datetime": "2020-01-01T00:00:00Z",
                    "proj:epsg": 32631,
                    "proj:transform": [10, 0, 0, 0, -10, 0, 0, 0, 1],
                },
                "bbox": [0, 0, 1, 1],
                "assets": {"d": {"href": f"{host.url}/d.tif", "type": "image/tiff"}},
            }
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(item))
    refusal(tmp_path / "a.json")
    assert host.visits() == 0
