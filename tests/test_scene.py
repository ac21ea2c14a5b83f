"""boxest.data.scene: what is a scene, what is none, and its text."""

import dataclasses
import json

import pytest

from boxest.data.scene import CLEAN, Scene


def test_the_paper_is_a_scene_of_nothing():
    assert Scene() == CLEAN == Scene.of({}) == Scene.parse("{}")
    assert CLEAN.text() == "{}"
    assert str(CLEAN) == "clean"
    assert (CLEAN.background_levels(), CLEAN.object_levels(0)) == (range(1), [255])


def test_a_scene_has_one_text():
    scene = Scene(noise=1, object_level=[0.5, 1], lines=2, blur=-0.0)
    assert scene.text() == '{"lines": 2, "noise": 1.0, "object_level": [0.5, 1.0]}'
    assert str(scene) == "lines 2, noise 1.0, object_level [0.5, 1.0]"
    assert Scene.parse(scene.text()) == scene == Scene.of(scene.options())
    assert hash(Scene.parse(scene.text())) == hash(scene)


def test_a_scene_of_every_option_comes_back_from_its_text():
    values = dict.fromkeys(("noise", "blur", "texture", "rotation", "hidden"), 1 / 3)
    levels = {"object_level": (1 / 3, 2 / 3), "background_level": (1 / 7, 6 / 7)}
    scene = Scene(**values, **levels, contrast=1e-17, texture_scale=1 / 1.1, discs=100, lines=100)
    assert len(scene.options()) == len(dataclasses.fields(Scene))
    assert len(scene.text()) < 500
    assert Scene.parse(scene.text()) == scene


def test_levels_of_the_object_keep_the_contrast():
    scene = Scene(object_level=(0, 1), background_level=(0.2, 0.8), contrast=0.4)
    assert scene.background_levels() == range(51, 205)
    assert scene.object_levels(51) == list(range(153, 256))
    assert scene.object_levels(128) == [*range(27), *range(230, 256)]
    assert 128 not in Scene(object_level=(0, 1), contrast=0).object_levels(128)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"noise": -0.1}, ValueError, r"noise must be a number in 0\.\.1; got -0\.1"),
        ({"noise": float("nan")}, ValueError, "noise must be a number in .*; got nan"),
        ({"noise": "0.1"}, TypeError, "noise must be a number; got '0.1'"),
        ({"noise": True}, TypeError, "noise must be a number; got True"),
        ({"noise": None}, TypeError, "noise must be a number; got None"),
        ({"blur": 33}, ValueError, r"blur must be a number in 0\.\.32; got 33"),
        ({"texture": 1.5}, ValueError, r"texture must be a number in 0\.\.1"),
        ({"texture_scale": 0}, ValueError, r"texture_scale must be a number in 0\.5\.\."),
        ({"rotation": 45}, ValueError, r"rotation must be a number in 0\.\.44; got 45"),
        ({"hidden": 0.8}, ValueError, r"hidden must be a number in 0\.\.0\.7; got 0\.8"),
        ({"contrast": 2}, ValueError, r"contrast must be a number in 0\.\.1"),
        ({"discs": 1.0}, TypeError, "discs must be an integer; got 1.0"),
        ({"lines": 101}, ValueError, r"lines must be an integer in 0\.\.100; got 101"),
        ({"object_level": 0.5}, TypeError, "object_level must be two numbers, .*; got 0.5"),
        ({"object_level": [0.5]}, TypeError, r"object_level must be two numbers, .*; got \[0.5\]"),
        ({"object_level": [0.5, 2]}, ValueError, r"object_level must be a number in 0\.\.1; got 2"),
        ({"background_level": [1, 0]}, ValueError, r"the lowest and the highest level; got \[1, 0"),
        (
            {"background_level": [0, 1]},
            ValueError,
            r"background level of 0\.804 leaves no object_level in \[1\.0, 1\.0\] at a contrast",
        ),
        ({"nois": 0.1}, ValueError, "A scene has no 'nois'; its options are noise, object_level"),
        ({5: 0.1}, ValueError, "A scene has no 5"),
    ],
)
def test_what_is_no_scene(options, error, message):
    with pytest.raises(error, match=message):
        Scene.of(options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 900, "deeply nested JSON|Expecting value"),
        ("[" * 10**6, "some hundred characters"),
        (5, "must be a JSON text"),
        ("", "Expecting value"),
        ("[1]", "A scene must be a table"),
        ('{"noise": NaN}', "got nan"),
        ('{"noise": 1e999}', "got inf"),
        ('{"discs": 1' + "0" * 400 + "}", "discs must be an integer in"),
        ('{"noise": 1' + "0" * 400 + "}", "noise must be a number in"),
        ('{"__class__": 1}', "A scene has no '__class__'"),
    ],
)
def test_texts_of_strangers(text, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Scene.parse(text)


def test_a_texture_has_room_for_its_grains():
    scene = Scene(texture=0.1, texture_scale=8)
    assert scene.for_size(64) is scene
    with pytest.raises(ValueError, match=r"texture_scale \(8 px\) is greater than an eighth .*63"):
        scene.for_size(63)
    Scene(texture_scale=8).for_size(8)
    assert json.loads(scene.text()) == {"texture": 0.1, "texture_scale": 8}
